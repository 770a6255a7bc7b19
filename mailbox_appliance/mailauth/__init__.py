"""PROOF: SPF, DKIM, DMARC, ARC, SRS and Authentication-Results as arithmetic on octets and DNS answers we have."""
