"""Where the API is and how it is reached."""

from __future__ import annotations


class Configuration:
    """``host`` is scheme, name and port."""

    def __init__(self) -> None:
        self.host = "https://localhost"
        self.api_key: dict[str, str] = {}
        self.api_key_prefix: dict[str, str] = {}
        self.verify_ssl = True
        self.ssl_ca_cert: str | None = None
        self.cert_file: str | None = None
        self.key_file: str | None = None
        self.assert_hostname: bool | None = None
        self.connection_pool_maxsize = 20
        self.proxy: str | None = None
        self.safe_chars_for_path_param = ""
