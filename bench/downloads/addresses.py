"""Which addresses are asked at all."""

from __future__ import annotations

from urllib.parse import urlsplit

_LOCAL = {"127.0.0.1", "localhost", "::1"}


def resolved(url: str) -> str:
    """The https address behind an `s3://bucket/key` address of a public bucket; others as they are.

    Buckets whose names hold dots are not translated: the certificate of the host does not cover them.
    """
    bucket, _, key = url.removeprefix("s3://").partition("/")
    if url.startswith("s3://") and bucket and "." not in bucket:
        return f"https://{bucket}.s3.amazonaws.com/{key}"
    return url


def local(url: str) -> bool:
    """Whether an address is on this machine."""
    return urlsplit(url).hostname in _LOCAL


def refusal(url: str, came_from: str = "") -> str:
    """Why an address is not asked; empty where it is.

    Allowed is https, and http on this machine only; a redirect never leads from https to anything less, and
    never to this machine from elsewhere.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return "not a valid address"
    if not host or parts.scheme not in {"https", "http"}:
        return f"{parts.scheme or 'no scheme'}: only https addresses are fetched"
    if came_from and local(url) and not local(came_from):
        return "a redirect to this machine is not followed"
    if parts.scheme == "http" and (not local(url) or came_from.startswith("https:")):
        return "http is not encrypted: only https addresses are fetched"
    return ""
