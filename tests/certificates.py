"""Certificates for tests: made in memory by an authority that nobody else trusts."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import trustme


class Certificates:
    """An authority and what it has issued, as files that `tls-*` parameters name.

    Attributes:
      ca, cert, key: paths of the authority's certificate, the server's, and its key.
      client_cert, client_key: those of somebody who connects.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._authority = trustme.CA()
        self.ca = folder / "ca.crt"
        self._authority.cert_pem.write_to_path(str(self.ca))
        self.cert, self.key = self.issue("localhost", "127.0.0.1", "::1")
        self.client_cert, self.client_key = self.issue("client@example.org")

    def issue(self, *names: str) -> tuple[Path, Path]:
        """Issue one more certificate; return its path and the key's."""
        issued = self._authority.issue_cert(*names)
        number = len(list(self.folder.iterdir()))
        cert, key = self.folder / f"{number}.crt", self.folder / f"{number}.key"
        cert.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(key))
        return cert, key

    @property
    def options(self) -> dict[str, Any]:
        """The parameters of a server with TLS, as `serve_redis` takes them, but for the port."""
        return {
            "tls_cert_file": str(self.cert),
            "tls_key_file": str(self.key),
            "tls_ca_cert_file": str(self.ca),
        }

    @property
    def words(self) -> list[str]:
        """The same for a command line."""
        return [
            word
            for name, value in self.options.items()
            for word in ("--" + name.replace("_", "-"), value)
        ]

    def client_context(self, *, certificate: bool = True) -> ssl.SSLContext:
        """Return the context of a client that trusts the server, with a certificate or without."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.ca)
        if certificate:
            context.load_cert_chain(self.client_cert, self.client_key)
        return context
