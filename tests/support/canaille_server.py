"""Canaille, an OpenID provider by another project, on loopback: ``python canaille_server.py PORT REDIRECT_URI``.

Prints ``ready`` once it answers. A line on its standard input replaces its signing key and deletes the old one.
"""

import sys
import threading
from datetime import UTC, datetime

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from joserfc.jwk import RSAKey
from werkzeug.serving import WSGIRequestHandler, make_server


def new_keys():
    return [RSAKey.generate_key(2048, auto_kid=True).as_dict(private=True)]


class Quiet(WSGIRequestHandler):
    def log(self, kind, message, *arguments):
        """Log no requests."""


def main(port, redirect_uri):
    app = create_app(
        {
            "SECRET_KEY": "only-for-this-test",
            "SERVER_NAME": f"127.0.0.1:{port}",
            "PREFERRED_URL_SCHEME": "http",
            "CANAILLE": {"DATABASE": "memory", "CAPTCHA_ENABLED": False, "SMTP": None, "FORCE_HTTPS": False},
            "CANAILLE_OIDC": {"ACTIVE_JWKS": new_keys(), "TRUSTED_DOMAINS": []},
        },
    )
    with app.app_context():
        people(redirect_uri)
    threading.Thread(target=rotate, args=(app,), daemon=True).start()
    server = make_server("127.0.0.1", port, app, threaded=False, request_handler=Quiet)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    server.serve_forever()


def people(redirect_uri):
    store = Backend.instance
    client = models.Client(
        client_id="greffier",
        client_secret="s3cret",
        client_name="Greffier",
        client_uri="https://greffier.example",
        client_id_issued_at=datetime.now(UTC),
        redirect_uris=[redirect_uri],
        grant_types=["authorization_code"],
        response_types=["code"],
        scope=["openid", "email", "profile", "groups"],
        token_endpoint_auth_method="client_secret_basic",
        id_token_signed_response_alg="RS256",
    )
    store.save(client)
    client.audience = [client]
    store.save(client)
    ana = models.User(
        user_name="ana",
        given_name="Ana",
        family_name="Martin",
        formatted_name="Ana Martin",
        emails=["ana@example.org"],
        password="correct horse",
    )
    store.save(ana)
    store.save(models.Group(display_name="soc", members=[ana]))


def rotate(app):
    for _ in sys.stdin:
        app.config["CANAILLE_OIDC"]["ACTIVE_JWKS"] = new_keys()
        sys.stdout.write("rotated\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
