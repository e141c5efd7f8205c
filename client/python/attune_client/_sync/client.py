# Made by client/python/make_sync.py from attune_client/_async/client.py; change that.
"""Client: the whole workflow in a few calls."""
from __future__ import annotations

from typing import Optional

from attune_client._sync.imports import Imports
from attune_client._sync.jobs import Jobs
from attune_client._sync.results import Results
from attune_client._sync.transport import Channel
from attune_client.retry import RetryPolicy
from attune_client.settings import Pem


class Client(Imports, Jobs, Results):
    """A connection to one server. Client is for threads and thread-safe; AsyncClient has the same methods for asyncio, and belongs to the event loop that it is made in.

    Names may be short: "minilm" for "models/minilm", "j7/best" for "fineTuningJobs/j7/checkpoints/best". Transient faults are retried (RetryPolicy), with the wait that the
    server asks for; creates carry a request_id, so that this is harmless. Failures raise AttuneError, of the subclass that fits. Every RPC is also there as a stub, without
    retries: client.jobs.ListFineTuningJobs(v1.ListFineTuningJobsRequest()), or with them: client.call(client.jobs.ListFineTuningJobs, ...).
    """

    def __init__(self, address: Optional[str] = None, *, token: Optional[str] = None, tls: Optional[bool] = None, ca_certificate: Optional[Pem] = None,
                 client_certificate: Optional[Pem] = None, client_key: Optional[Pem] = None, allow_plaintext_token: bool = False, timeout: float = 30.0,
                 long_timeout: float = 600.0, stall_timeout: float = 60.0, retry: RetryPolicy = RetryPolicy(), channel: Optional[Channel] = None):
        """Connects at the first call.

        address: host:port or unix:/path. None: the environment's ATTUNE_SERVER, else 127.0.0.1:50051.
        token: an API token or JWT. None: the content of the file ATTUNE_TOKEN_FILE, else ATTUNE_TOKEN; "": none. It is not sent in plain text, except within this machine
            (loopback, Unix sockets), unless allow_plaintext_token says so.
        tls: True encrypts and believes the authorities of this system; None does so where a certificate is given; False never does.
        ca_certificate: PEM file, or its bytes, of the authorities to believe. None: ATTUNE_CA_FILE.
        client_certificate, client_key: PEM files, or their bytes, that say who the caller is. None: ATTUNE_CLIENT_CERTIFICATE_FILE and ATTUNE_CLIENT_KEY_FILE.
        timeout, long_timeout, stall_timeout: seconds; of an ordinary call, of those that read whole files, and after which a silent stream counts as cut.
        channel: in place of all of the above.

        Raises ValueError for settings that do not fit together, OSError for a file that cannot be read.
        """
        super().__init__(address, token=token, tls=tls, ca_certificate=ca_certificate, client_certificate=client_certificate, client_key=client_key,
                         allow_plaintext_token=allow_plaintext_token, timeout=timeout, long_timeout=long_timeout, stall_timeout=stall_timeout, retry=retry, channel=channel)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
