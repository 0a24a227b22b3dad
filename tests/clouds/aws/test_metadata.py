"""SAML metadata: what is refused, what is distilled, and how certificates come and go."""

from __future__ import annotations

import base64
import datetime
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.clouds.aws.metadata import LEAST, distilled, joined, read_metadata, without
from isthmus.clouds.aws.trustlint.certificates import read_certificate
from isthmus_lab.pack.saml_metadata import read_metadata as as_iam_reads
from tests.support.examples import examples
from tests.support.metadata import ENTITY, certificate, metadata, of_no_version

NOW = time.time()
OLD, NEW = certificate(100, now=NOW, name="old"), certificate(400, now=NOW, name="new")


def fingerprints(document: str) -> list[str]:
    return [one.fingerprint for one in read_metadata(document).certificates]


def test_what_is_distilled_says_the_same_and_distils_to_itself() -> None:
    whole = metadata(OLD, more="<!-- " + "x" * 20_000 + " -->")
    short = distilled(whole)
    assert LEAST <= len(short) < 2_500
    assert distilled(short) == short
    found = read_metadata(short)
    assert (found.entity_id, [key.text for key in found.keys]) == (ENTITY, [OLD])
    assert found.endpoints == (("urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect", "https://idp.test/saml2?a=1&b=2"),)
    assert as_iam_reads(short).entity_id == ENTITY, "IAM's double takes what we write"


def test_a_short_key_still_makes_what_iam_takes() -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "e")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key()).serial_number(1)
    today = datetime.datetime.now(datetime.UTC)
    made = builder.not_valid_before(today).not_valid_after(today + datetime.timedelta(days=9)).sign(private, hashes.SHA256())
    short = distilled(metadata(base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode(), more="<!--" + "x" * 900 + "-->"))
    assert len(short) == LEAST == len(short.strip())
    assert distilled(short) == short


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ("<a/>", "1,000"),
        ("x" * 10_000_001, "10,000,000"),
        ("<!DOCTYPE a>" + metadata(OLD).partition("?>")[2], "DOCTYPE"),
        ('<!DOCTYPE a [<!ENTITY e "x">]>' + metadata(OLD).partition("?>")[2], "DOCTYPE"),
        ("x" * 1_000, "well-formed"),
        (metadata(OLD).replace("IDPSSODescriptor", "SPSSODescriptor"), "IDPSSODescriptor"),
        (metadata(OLD).replace(f'entityID="{ENTITY}"', f'ID2="{ENTITY}"'), "entityID"),
        (metadata(OLD).replace('use="signing"', 'use="encryption"'), "no certificate for signing"),
        (metadata("AAAA").ljust(1_000), "cannot be read"),
        (metadata(OLD[:-8] + "!!!!" + OLD[-4:]), "cannot be read"),
        (metadata(OLD, of_no_version(NEW)), "cannot be read"),
        (metadata(OLD).replace("https://idp.test/saml2", "javascript:alert(1)"), "Location"),
        (metadata(*(certificate(10 + number, now=NOW) for number in range(11))), "11 signing certificates"),
    ],
)
def test_what_aws_would_not_take_or_nobody_should_is_refused(document: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_metadata(document)


@settings(max_examples=examples(300), deadline=None)
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255), other=st.integers(0, 10_000), second=st.integers(0, 255))
def test_a_damaged_certificate_is_read_or_refused(place: int, byte: int, other: int, second: int) -> None:
    der = bytearray(base64.b64decode(OLD))
    der[place % len(der)], der[other % len(der)] = byte, second
    try:
        found = read_certificate(base64.b64encode(der).decode())
    except ValueError:
        return
    assert len(found.fingerprint) == 64


def test_a_next_certificate_stands_beside_the_present_one_until_that_is_retired() -> None:
    both = joined(distilled(metadata(OLD)), metadata(NEW))
    first, second = fingerprints(both)
    assert [first, second] == [*fingerprints(metadata(OLD)), *fingerprints(metadata(NEW))]
    assert joined(distilled(metadata(OLD)), metadata(OLD, NEW)) == both, "metadata with both brings the same"
    colons = ":".join(first[at : at + 2] for at in range(0, 64, 2)).upper()
    assert without(both, colons) == distilled(metadata(NEW))
    with pytest.raises(ValueError, match="only certificate"):
        without(distilled(metadata(NEW)), second)
    with pytest.raises(ValueError, match="No certificate has"):
        without(both, "0" * 64)
    with pytest.raises(ValueError, match="another provider"):
        joined(both, metadata(NEW, entity="https://evil.test/"))
    with pytest.raises(ValueError, match="no certificate that is not there"):
        joined(both, metadata(OLD))
