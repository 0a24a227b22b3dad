"""One lab for these tests; every test takes an account of its own, so none sees another's resources."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from isthmus_lab.process import LabProcess

Client = Callable[..., Any]


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    with LabProcess(tmp_path_factory.mktemp("lab"), port=0) as process:
        yield process


_NUMBERS = itertools.count(100_000_000_001)


@pytest.fixture
def account() -> str:
    return str(next(_NUMBERS))


@pytest.fixture
def client(lab: LabProcess, account: str) -> Client:
    """Makes boto3 clients of the test's account: root by default, or of a session's credentials."""

    def make(service: str, region: str = "us-east-1", credentials: dict[str, Any] | None = None, **settings: Any) -> Any:
        arguments = lab.client_arguments(account, region)
        if credentials:
            arguments |= {"aws_access_key_id": credentials["AccessKeyId"], "aws_secret_access_key": credentials["SecretAccessKey"]}
            arguments["aws_session_token"] = credentials["SessionToken"]
        config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, **settings)
        return boto3.client(service, config=config, **arguments)

    return make
