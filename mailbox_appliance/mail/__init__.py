"""The words every part of the appliance speaks: frozen values, no I/O, nothing imported but the standard library."""
