"""Sound and picture between those in a stage room: WebRTC through a server that forwards.

A small selective forwarding unit. aiortc does what is hard and the same everywhere (ICE,
DTLS, SRTP, SDP); what it would do with the media themselves (jitter buffers, decoders,
encoders, a thread for each) is left out: RTP packets go from a participant to the others as
they came, under each receiver's own numbering. So nothing is transcoded, nothing waits for
its neighbour, and the distance between sound and picture is the sender's.

Nothing here knows of the page, its server or a WebSocket: signalling goes in and out as SDP
text and plain dictionaries. Importing `room` loads aiortc; do it in the stage's process only.
"""
