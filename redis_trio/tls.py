"""TLS: what the `tls-*` parameters say, as contexts of Python's ssl module.

There is one context for those who connect and one for where the server itself connects to. Both are
made anew when a parameter changes, from files that are read at that moment; what cannot be used is
logged and refused, and the contexts so far stay. A connection keeps the context that it began with.

Source: Redis tls.c tlsConfigure, createSSLContext, parseProtocolsConfig; config.c applyTlsCfg.
"""

from __future__ import annotations

import logging
import os
import ssl
import warnings
from typing import Final

from redis_trio.config import Config, ConfigError

PROTOCOLS: Final = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
DEFAULT_PROTOCOLS: Final = ("TLSv1.2", "TLSv1.3")
REFUSED: Final = "Unable to update TLS configuration. Check server logs."

PARAMETERS: Final = (
    *("tls-replication", "tls-prefer-server-ciphers", "tls-session-caching"),
    *("tls-cert-file", "tls-key-file", "tls-key-file-pass"),
    *("tls-client-cert-file", "tls-client-key-file", "tls-client-key-file-pass"),
    *("tls-dh-params-file", "tls-ca-cert-file", "tls-ca-cert-dir"),
    *("tls-protocols", "tls-ciphers", "tls-ciphersuites"),
)
"""Those that make new contexts."""


class _BadSetting(Exception):
    """A parameter that cannot be used; `str()` is the line for the log."""


class Tls:
    """The TLS contexts of one server.

    Attributes:
      server: for those who connect; None while there was no need of it.
      client: for where the server connects to; it has the server's certificate if no other one is
        configured.
    """

    def __init__(self, config: Config, log: logging.Logger) -> None:
        self._config: Final = config
        self._log: Final = log
        self.server: ssl.SSLContext | None = None
        self.client: ssl.SSLContext | None = None
        config.subscribe(PARAMETERS, self._changed)
        config.subscribe("tls-auth-clients", self._follow_auth_clients)

    @property
    def wanted(self) -> bool:
        """Whether the configuration asks for TLS anywhere."""
        return self._config.tls_port != 0 or self._config.tls_replication

    def configure(self) -> None:
        """Make both contexts as the configuration says now.

        Raises:
          ConfigError: that cannot be; why has been logged, and nothing has changed.
        """
        try:
            server = self._server_context()
            client = self._client_context()
        except _BadSetting as exc:
            self._log.warning("%s", exc)
            raise ConfigError(REFUSED) from None
        self.server, self.client = server, client

    def _changed(self) -> None:
        if self.wanted:
            self.configure()

    def _follow_auth_clients(self) -> None:
        """Ask who connects from now on for a certificate, or not."""
        if self.server is not None:
            self.server.verify_mode = _verify_mode(self._config.tls_auth_clients)

    def _server_context(self) -> ssl.SSLContext:
        """Return the context for those who connect."""
        config = self._config
        if not config.tls_cert_file:
            raise _BadSetting("No tls-cert-file configured!")
        if not config.tls_key_file:
            raise _BadSetting("No tls-key-file configured!")
        asks = config.tls_auth_clients != "no" or config.tls_replication
        if asks and not config.tls_ca_cert_file and not config.tls_ca_cert_dir:
            raise _BadSetting(
                "Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-cluster, "
                "tls-replication or tls-auth-clients are enabled!"
            )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._prepare(context, config.tls_cert_file, config.tls_key_file, config.tls_key_file_pass)
        context.verify_mode = _verify_mode(config.tls_auth_clients)
        if config.tls_prefer_server_ciphers:
            context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
        else:
            context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        if not config.tls_session_caching:
            context.options |= ssl.OP_NO_TICKET
            context.num_tickets = 0
        if config.tls_dh_params_file:
            self._load_dh_params(context, config.tls_dh_params_file)
        return context

    def _client_context(self) -> ssl.SSLContext:
        """Return the context for where the server connects to: it wants to see a certificate.

        The name in that is not compared with the host's, as Redis does not.
        """
        config = self._config
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        cert, key = config.tls_client_cert_file, config.tls_client_key_file
        password = config.tls_client_key_file_pass
        if not cert or not key:
            cert, key, password = (
                config.tls_cert_file,
                config.tls_key_file,
                config.tls_key_file_pass,
            )
        self._prepare(context, cert, key, password)
        return context

    def _prepare(self, context: ssl.SSLContext, cert: str, key: str, password: str) -> None:
        """Do what is common to both contexts."""
        config = self._config
        _allow(context, _protocols(config.tls_protocols))
        context.options |= ssl.OP_NO_RENEGOTIATION
        self._load_certificate(context, cert, key, password)
        if config.tls_ca_cert_file or config.tls_ca_cert_dir:
            try:
                context.load_verify_locations(
                    self._path(config.tls_ca_cert_file), self._path(config.tls_ca_cert_dir)
                )
            except OSError as exc:
                raise _BadSetting(
                    f"Failed to configure CA certificate(s) file/directory: {reason(exc)}"
                ) from None
        try:
            context.set_ciphers(config.tls_ciphers or "DEFAULT")
        except ssl.SSLError:
            raise _BadSetting(f"Failed to configure ciphers: {config.tls_ciphers}") from None
        if config.tls_ciphersuites:
            _set_ciphersuites(context, config.tls_ciphersuites)

    def _path(self, name: str) -> str | None:
        """Return where a file or folder is; None for one that is not configured."""
        return os.path.join(self._config.dir, name) if name else None

    def _load_certificate(
        self, context: ssl.SSLContext, cert: str, key: str, password: str
    ) -> None:
        cert_path = self._path(cert)
        assert cert_path is not None
        try:
            # Without a password OpenSSL would ask for one at the terminal.
            context.load_cert_chain(cert_path, self._path(key), lambda: password)
        except (OSError, ValueError) as exc:
            why = _certificate_problem(cert_path)
            if why:
                raise _BadSetting(f"Failed to load certificate: {cert}: {why}") from None
            raise _BadSetting(f"Failed to load private key: {key}: {reason(exc)}") from None

    def _load_dh_params(self, context: ssl.SSLContext, name: str) -> None:
        path = self._path(name)
        assert path is not None
        try:
            context.load_dh_params(path)
        except ssl.SSLError:
            raise _BadSetting(f"{name}: failed to read DH params.") from None
        except OSError as exc:
            raise _BadSetting(f"Failed to load {name}: {exc.strerror}") from None


def _verify_mode(auth_clients: str) -> ssl.VerifyMode:
    modes = {"no": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "yes": ssl.CERT_REQUIRED}
    return modes[auth_clients]


def reason(exc: Exception) -> str:
    """Return why something about TLS failed, as OpenSSL or the system says it."""
    words = getattr(exc, "reason", None)
    if isinstance(words, str) and words:
        return words.replace("_", " ").lower()
    return getattr(exc, "strerror", None) or str(exc)


def _certificate_problem(path: str) -> str:
    """Return why a certificate cannot be loaded, "" if it can."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except OSError as exc:
        return reason(exc)
    return ""


def _protocols(text: str) -> list[str]:
    """Return the protocols that may be spoken, oldest first."""
    if not text:
        return list(DEFAULT_PROTOCOLS)
    known = {name.lower(): name for name in PROTOCOLS}
    chosen = {known.get(word.lower()) for word in text.split(" ")}
    if None in chosen:
        raise _BadSetting(
            "Invalid tls-protocols specified. "
            "Use a combination of 'TLSv1', 'TLSv1.1', 'TLSv1.2' and 'TLSv1.3'."
        )
    return [name for name in PROTOCOLS if name in chosen]


def _allow(context: ssl.SSLContext, protocols: list[str]) -> None:
    """Have a context speak these protocols and no other, even if there are some in between."""
    versions = dict(
        zip(
            PROTOCOLS,
            (
                (ssl.TLSVersion.TLSv1, ssl.OP_NO_TLSv1),
                (ssl.TLSVersion.TLSv1_1, ssl.OP_NO_TLSv1_1),
                (ssl.TLSVersion.TLSv1_2, ssl.OP_NO_TLSv1_2),
                (ssl.TLSVersion.TLSv1_3, ssl.OP_NO_TLSv1_3),
            ),
            strict=True,
        )
    )
    first, last = PROTOCOLS.index(protocols[0]), PROTOCOLS.index(protocols[-1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # whoever asks for them knows
        context.minimum_version = versions[protocols[0]][0]
        context.maximum_version = versions[protocols[-1]][0]
        for name in PROTOCOLS[first:last]:
            if name not in protocols:
                context.options |= versions[name][1]


def _set_ciphersuites(context: ssl.SSLContext, suites: str) -> None:
    """Choose the ciphers of TLS 1.3, where Python can; it is newer than most Pythons in use."""
    choose = getattr(context, "set_ciphersuites", None)
    if choose is None:
        raise _BadSetting(
            f"Failed to configure ciphersuites: {suites}: this Python cannot choose those of "
            "TLSv1.3"
        )
    try:
        choose(suites)
    except OSError:
        raise _BadSetting(f"Failed to configure ciphersuites: {suites}") from None
