"""EC2 Instance Connect: SendSSHPublicKey puts a key on a machine for a user of it, for 60 seconds.

Nobody logs in with it here: the machine's record shows which keys a login would be let in with. Not compared with AWS.
"""

import json
import re
import uuid

from isthmus_lab.adapter.adapter import Adapter
from isthmus_lab.hooks import Headers, NewService, Query
from isthmus_lab.pack.pushed_keys import PushedKeys
from isthmus_lab.world import Response

_SERVICE = NewService(name="ec2-instance-connect", botocore="ec2-instance-connect")
_ACTION = "ec2-instance-connect:SendSSHPublicKey"
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9@._-]{0,30}[A-Za-z0-9$_-]?")
_KEY = re.compile(r"(ssh-rsa|ssh-ed25519) [A-Za-z0-9+/]{60,}={0,3}( [^\n]*)?\n?")
_JSON = {"Content-Type": "application/x-amz-json-1.1"}


class InstanceConnect:
    """The service; `keys` are those that are good now."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self.keys = PushedKeys(adapter.clock)

    def install(self) -> None:
        """Add the service; it authorises on the instance with the user as condition key."""
        self._adapter.requests.add_service(_SERVICE, self._answer)
        self._adapter.requests.authorise_later(frozenset({_ACTION}))

    async def _answer(self, method: str, path: str, headers: Headers, body: bytes, query: Query) -> Response:
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        try:
            request = json.loads(body or b"{}")
            identity, user, key = (str(request[name]) for name in ("InstanceId", "InstanceOSUser", "SSHPublicKey"))
        except (ValueError, KeyError, TypeError):
            return self._refuse("InvalidArgsException", "InstanceId, InstanceOSUser and SSHPublicKey are required.")
        if operation != "SendSSHPublicKey":
            return self._refuse("InvalidArgsException", f"The lab does not know the operation {operation}.")
        account, region = self._adapter.account(), self._adapter.region()
        instance = self._adapter.instance(account, region, identity)
        context = {"ec2:osuser": user}
        if instance is not None:
            context |= {f"aws:resourcetag/{name}".lower(): value for name, value in instance.tags.items()}
        denial = self._adapter.denial(_ACTION, f"arn:aws:ec2:{region}:{account}:instance/{identity}", context)
        if denial is not None:
            return self._refuse("AccessDeniedException", denial.message)
        if not _USER.fullmatch(user) or not _KEY.fullmatch(key) or not 80 <= len(key) <= 4096:
            return self._refuse("InvalidArgsException", "The user or the SSH public key is not valid.")
        if instance is None:
            return self._refuse("EC2InstanceNotFoundException", f"Instance {identity} does not exist in your account.")
        if instance.state != "running":
            return self._refuse("EC2InstanceStateInvalidException", f"Instance {identity} is not running.")
        self.keys.push(identity, user, key)
        return 200, dict(_JSON), json.dumps({"RequestId": str(uuid.uuid4()), "Success": True}).encode()

    def _refuse(self, code: str, message: str) -> Response:
        return 400, dict(_JSON), json.dumps({"__type": code, "message": message}).encode()
