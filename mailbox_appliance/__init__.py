"""mailappliance: a whole mail server for a family or a small group, in one Twisted process.

The map, floor by floor; imports run downhill and neighbours meet at ports/ (tests/house/test_layers.py)::

    0  mail/        the words: address, envelope, message, header, mime, reply, verdict, outcome, trace
    1  ports/       what parts ask of one another
    2  wire/        SMTP, IMAP, SASL as languages      mailauth/  SPF, DKIM, DMARC, ARC, SRS as proofs
    3  config/ journal/ rounds/                        what every station stands on
       workers database sockets slices channel crlf shielded spoolfile
    4  users/ guard/ dns/ acme/                        who · how often · names · certificates
       smtp/ checks/ junk/ scanners/ delivery/ lists/ queue/ relay/ link/ reports/ store/ shares/ outbox/
       imap/                                       the stations of the journey
       importing/                                  old mail, in a process of its own
    5  admin/ → cli/ web/                              what an operator may do, and the desks that offer it
    6  service stations assembly process local desk             everything joined

A message comes in at smtp/listener, is judged at smtp/policy and checks/, accepted at delivery/acceptance in one commit
round (rounds/), kept by store/, read through imap/; or it waits in queue/ and leaves by relay/.
"""

__version__ = "0.1.0"
