"""Where the server is and how the caller shows who it is: arguments, then the environment, checked before anything is sent."""
from __future__ import annotations

import dataclasses
import ipaddress
import os
from pathlib import Path
from typing import List, Mapping, Optional, Tuple, Union

import grpc

# A file's path, or the content itself in PEM form.
Pem = Union[str, "os.PathLike[str]", bytes]

DEFAULT_ADDRESS = "127.0.0.1:50051"
_MAX_MESSAGE_BYTES = 64 << 20


@dataclasses.dataclass(frozen=True)
class ConnectionSettings:
    """A checked choice. Without TLS, `credentials` is None."""
    address: str
    token: str = dataclasses.field(repr=False)  # empty: none
    credentials: Optional[grpc.ChannelCredentials]

    def metadata(self) -> List[Tuple[str, str]]:
        """What goes with each call."""
        return [("authorization", f"Bearer {self.token}")] if self.token else []

    def channel_options(self) -> List[Tuple[str, int]]:
        """gRPC's wait before it connects again must be shorter than ours, or our tries would be for nothing."""
        options = [("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES), ("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1000)]
        if is_local(self.address):  # a proxy of the environment is meant for the world outside, and would read the token
            options.append(("grpc.enable_http_proxy", 0))
        return options


def connection_settings(address: Optional[str] = None, *, token: Optional[str] = None, tls: Optional[bool] = None, ca_certificate: Optional[Pem] = None,
                        client_certificate: Optional[Pem] = None, client_key: Optional[Pem] = None, allow_plaintext_token: bool = False,
                        environment: Optional[Mapping[str, str]] = None) -> ConnectionSettings:
    """Raises ValueError for what does not fit together, OSError for a file that cannot be read."""
    env = os.environ if environment is None else environment
    address = address or env.get("ATTUNE_SERVER") or DEFAULT_ADDRESS
    if token is None:
        token = _token_of(env)
    if token and not all("!" <= c <= "~" for c in token):
        raise ValueError("the token has a blank or a character that no token has; was it cut, or copied with its line's end?")
    if tls is not False:
        ca_certificate = ca_certificate or env.get("ATTUNE_CA_FILE") or None
        client_certificate = client_certificate or env.get("ATTUNE_CLIENT_CERTIFICATE_FILE") or None
        client_key = client_key or env.get("ATTUNE_CLIENT_KEY_FILE") or None
    elif ca_certificate or client_certificate or client_key:
        raise ValueError("tls=False and a certificate are given: leave one of them out")
    if (client_certificate is None) != (client_key is None):
        raise ValueError("client_certificate and client_key belong together: give both, or neither")
    if not (tls or ca_certificate or client_certificate):
        if token and not is_local(address) and not allow_plaintext_token:
            raise ValueError(f"the token would go to {address} in plain text, for everybody on the way to read; give ca_certificate, or tls=True for the authorities "
                             "of this system (allow_plaintext_token=True sends it all the same)")
        return ConnectionSettings(address, token, None)
    credentials = grpc.ssl_channel_credentials(_pem(ca_certificate), _pem(client_key), _pem(client_certificate))
    return ConnectionSettings(address, token, credentials)


def is_local(address: str) -> bool:
    """Whether what is sent to the address stays on this machine: a Unix socket, localhost or a loopback address. In doubt, it does not."""
    scheme, colon, rest = address.partition(":")
    if colon and scheme in ("unix", "unix-abstract"):
        return True
    if colon and scheme in ("ipv4", "ipv6"):
        return all(_is_local_host(one) for one in rest.split(","))
    if colon and scheme in ("dns", "passthrough") and rest.startswith("/"):
        authority, _, rest = rest.lstrip("/").rpartition("/")
        return not authority and _is_local_host(rest)
    return _is_local_host(rest if scheme == "dns" else address)


def _is_local_host(host_and_port: str) -> bool:
    if host_and_port.startswith("["):
        host = host_and_port[1:].partition("]")[0]
    else:
        host = host_and_port if host_and_port.count(":") > 1 else host_and_port.partition(":")[0]
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _token_of(env: Mapping[str, str]) -> str:
    file = env.get("ATTUNE_TOKEN_FILE")
    return Path(file).read_text(encoding="utf-8").strip() if file else env.get("ATTUNE_TOKEN", "").strip()


def _pem(given: Optional[Pem]) -> Optional[bytes]:
    return given if given is None or isinstance(given, bytes) else Path(given).read_bytes()
