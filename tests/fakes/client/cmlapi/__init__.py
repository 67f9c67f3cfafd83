"""A stand-in of Cloudera's cmlapi, for tests on machines without it: the same names, arguments and exceptions."""

from cmlapi import rest as rest
from cmlapi.api.cml_service_api import CMLServiceApi as CMLServiceApi
from cmlapi.api_client import ApiClient as ApiClient
from cmlapi.configuration import Configuration as Configuration
from cmlapi.models import *  # noqa: F403
from cmlapi.utils import Cursor as Cursor
from cmlapi.utils import default_client as default_client
