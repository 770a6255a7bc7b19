"""The process and the whole appliance in it, on loopback, without peers."""
