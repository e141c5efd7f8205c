"""Servers with TLS and credentials, and what an attacker of them needs: authorities, certificates, tokens, JWTs. All made at run time, with the openssl program.

    authority = Authority(tmp_path)
    with SecureServer(tmp_path / "data", authority) as server:      # calls as the first administrator
        team = server.token("team-a", "write")
        server.as_caller(team)                                      # calls as team-a from here on
"""
import base64
import json
import os
import subprocess
import time

import grpc

import harness


def openssl(*arguments, **options):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, **options).stdout


class Authority:
    """Signs certificates of servers and clients."""

    def __init__(self, directory, name="ca"):
        self.directory = str(directory)
        self.certificate, self.key = self._path(f"{name}.crt"), self._path(f"{name}.key")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.certificate)

    def _path(self, name):
        return os.path.join(self.directory, name)

    def sign(self, name, san="DNS:localhost,IP:127.0.0.1", serial=1):
        """Files of a certificate and its key."""
        certificate, key, request, extensions = (self._path(f"{name}.{end}") for end in ("crt", "key", "csr", "ext"))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        with open(extensions, "w") as file:
            file.write(f"subjectAltName={san}\nbasicConstraints=CA:FALSE\n")
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-set_serial", str(serial), "-days", "1", "-extfile", extensions, "-out", certificate)
        return certificate, key

    def pem(self):
        with open(self.certificate, "rb") as file:
            return file.read()


class BearerToken(grpc.AuthMetadataPlugin):
    def __init__(self, token):
        self.token = token

    def __call__(self, context, callback):
        callback((("authorization", f"Bearer {self.token}"),), None)


class SecureServer(harness.Server):
    """TLS and auth required; calls as the first administrator."""

    def __init__(self, data_dir, authority, *flags, certificate=None):
        self.authority = authority
        self.certificate, self.key = certificate or authority.sign("server")
        self.secrets = []  # all that were ever shown
        super().__init__(data_dir, "--auth", "required", "--tls-certificate-file", self.certificate, "--tls-key-file", self.key, *flags)

    def start(self):
        super().start()
        token_file = os.path.join(self.data_dir, "admin.token")
        with open(token_file) as file:
            self.admin_token = file.read().strip()
        self.secrets.append(self.admin_token)
        return self.as_caller(self.admin_token)

    def open_channel(self, options, token=None):
        credentials = grpc.ssl_channel_credentials(self.authority.pem())
        if token is not None:
            credentials = grpc.composite_channel_credentials(credentials, grpc.metadata_call_credentials(BearerToken(token)))
        return grpc.secure_channel(self.address, credentials, options=options)

    def as_caller(self, token):
        """Calls with this token from here on; None: with none."""
        if self.channel is not None:
            self.channel.close()
        self.channel = self.open_channel(harness.CHANNEL_OPTIONS, token)
        self.use(self.channel)
        return self

    def token(self, project, *scopes, expire_seconds=None):
        admin_pb = harness.pb["admin"]
        request = admin_pb.CreateTokenRequest(display_name=f"of {project}", projects=project.split(","), scopes=[f"SCOPE_{scope.upper()}" for scope in scopes])
        if expire_seconds is not None:
            request.expire_time.FromSeconds(int(time.time() + expire_seconds))
        with self.open_channel(harness.CHANNEL_OPTIONS, self.admin_token) as channel:
            made = harness.rpc["admin"].AdminServiceStub(channel).CreateToken(request)
        self.secrets.append(made.secret)
        return made.secret


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """Signs JWTs, and has its keys in a file."""

    def __init__(self, directory, url="https://issuer.test", kid="k1"):
        self.url, self.kid = url, kid
        self.key = os.path.join(str(directory), f"{kid}.pem")
        self.jwks = os.path.join(str(directory), f"{kid}.jwks.json")
        openssl("genrsa", "-out", self.key, "2048")
        modulus = openssl("rsa", "-in", self.key, "-noout", "-modulus").decode().strip().split("=", 1)[1]
        self.public = openssl("rsa", "-in", self.key, "-pubout")
        with open(self.jwks, "w") as file:
            json.dump({"keys": [{"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": base64url(bytes.fromhex(modulus)), "e": "AQAB"}]}, file)

    def claims(self, **changes):
        now = int(time.time())
        claims = {"iss": self.url, "aud": "attune", "sub": "ann", "iat": now, "exp": now + 300, "attune_projects": ["team-a"], "scope": "read write"}
        claims.update(changes)
        return {name: value for name, value in claims.items() if value is not None}

    def unsigned(self, header, claims):
        return f"{base64url(json.dumps(header).encode())}.{base64url(json.dumps(claims).encode())}"

    def sign(self, header=None, key=None, **changes):
        text = self.unsigned(header or {"alg": "RS256", "typ": "JWT", "kid": self.kid}, self.claims(**changes))
        return f"{text}.{base64url(openssl('dgst', '-sha256', '-sign', key or self.key, input=text.encode()))}"
