"""Hooks of schemathesis: https://schemathesis.readthedocs.io/en/stable/guides/extending/"""

import base64
import hashlib
import hmac
import json
import os
import re
import time
import unicodedata
import uuid

import schemathesis
from schemathesis import GenerationMode

# The Authorization header with which the caller of this run is identified, and the caller's roles. An anonymous caller has neither.
AUTHORIZATION = os.environ.get("CALLER_AUTHORIZATION")
ROLES = set(os.environ.get("CALLER_ROLES", "").split())


@schemathesis.hook
def before_call(context, case, kwargs):
    """Removes inputs that no schema can exclude, and inputs that schemathesis generates although the schema excludes them."""
    if lacks_token(case):
        kwargs["auth"] = remove_token
    # A signature covers the bytes of the body, which exist only when the request is sent.
    elif case.operation.label == "POST /webhooks/payments" and is_valid(case):
        kwargs["auth"] = sign_webhook
    # Cursors are opaque: a generated one is rejected even if its form is valid. Malformed cursors stay, to check that they are rejected.
    cursor = (case.query or {}).get("cursor")
    if isinstance(cursor, str) and 1 <= len(cursor) <= 1000 and "\0" not in cursor:
        del case.query["cursor"]
    # A search has at most ten different words, which a schema cannot express. This counts repeated words more than once.
    search = (case.query or {}).get("q")
    if isinstance(search, str) and len(search) <= 100 and "\0" not in search:
        if len(re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", search))) > 10:
            del case.query["q"]
    # A former currency is valid only for a price that is already in it, which depends on the state.
    if isinstance(case.body, dict) and case.body.get("currency") in former_currencies(case.operation.schema.raw_schema):
        case.body["currency"] = "EUR"
    # The pattern of an ETag includes quotes, which schemathesis removes.
    for name in ("If-Match", "If-None-Match"):
        etag = (case.headers or {}).get(name)
        if etag is not None and re.fullmatch(r"\d{1,15}", str(etag)):
            case.headers[name] = f'"{etag}"'


@schemathesis.check
def permitted_callers(ctx, response, case):
    """Fails if a caller gets a 401 or 403 although the document lets this caller call the operation."""
    # Its 401 is about a signature.
    if case.operation.label == "POST /webhooks/payments":
        return
    sent = response.request.headers.get("Authorization")
    requirements = case.operation.definition.raw.get("security", [])
    if response.status_code == 401:
        if sent is None:
            assert requirements and {} not in requirements, "401 for an anonymous caller, who may call this operation"
        assert sent is None or sent != AUTHORIZATION, "401 for a valid token"
    elif is_role_refusal(response) and sent == AUTHORIZATION:
        required = {role for requirement in requirements for role in requirement.get("token", [])}
        assert required and not required & ROLES, f"403 for a caller with the roles {sorted(ROLES)}"


def is_role_refusal(response):
    if response.status_code != 403 or not response.content:
        return False
    return json.loads(response.content)["type"] == "urn:twinbox:problem:role-required"


def former_currencies(document):
    """Returns the former currencies that the document allows for prices already in them."""
    schemas = document["components"]["schemas"]
    # Only order-service has products.
    if "Product" not in schemas:
        return []
    variants = schemas["PutProduct"]["properties"]["currency"]["anyOf"]
    return [code for variant in variants if variant.get("format") == "former-currency" for code in variant["enum"]]


def is_valid(case):
    return case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE


def lacks_token(case):
    """Returns whether this case tests a missing Authorization header."""
    data = case.meta and case.meta.phase.data
    is_missing = getattr(getattr(data, "scenario", None), "value", None) == "missing_parameter"
    return is_missing and (data.parameter or "").lower() == "authorization"


def remove_token(request):
    """Removes the token, which schemathesis adds to every request when it is given on the command line."""
    request.headers.pop("Authorization", None)
    return request


def sign_webhook(request):
    """Signs a request as the payment provider does: https://www.standardwebhooks.com"""
    body = request.body or b""
    content = body.encode() if isinstance(body, str) else body
    message_id, timestamp = f"msg_{uuid.uuid4().hex}", str(int(time.time()))
    secret = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + content
    signature = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    request.headers.update(
        {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": f"v1,{signature}"}
    )
    return request
