"""Where everything meets: settings become an ASGI application, its worker, and the clouds they use."""

from isthmus.app.building import Application, build
from isthmus.app.footing import new_guid

__all__ = ["Application", "build", "new_guid"]
