"""How servers prove who they are: always, against certifi's list or the operator's own."""

from __future__ import annotations

import os
import ssl


def tls_context() -> ssl.SSLContext:
    """Answer a context that verifies certificates and host names.

    SSL_CERT_FILE and SSL_CERT_DIR are honoured as OpenSSL itself does, for private authorities.
    """
    if os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"):
        return ssl.create_default_context()
    import certifi

    return ssl.create_default_context(cafile=certifi.where())
