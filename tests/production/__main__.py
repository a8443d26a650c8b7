"""`make production-check`: build the shop as the Dockerfile does, run it as a server would, and buy in it.

In a folder that is thrown away, with free ports, behind a TLS proxy of its own and with a real Redis if there is one.
Docker itself is not needed, nor the internet, but for the package index that pip asks.
"""

import http.client
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import yaml

from cartsite.dev import StartError
from cartsite.dev.demo import Family, Part
from cartsite.dev.postgres import DATABASE, throwaway
from cartsite.dev.processes import Told, listen, stop_listening
from tests.dev.whole import free_ports
from tests.production.env_file import documented_runs, example
from tests.production.image import CHECKOUT, Image, StepFailed
from tests.production.mailbox import Mailbox, mailbox
from tests.production.purchase import EMAIL, Browser, WentWrong, make_sure
from tests.production.tls import HOST, make_certificate, proxy, url_of

WITHIN = 300  # seconds; a busy machine takes its time, and nothing here is about speed
PRODUCT = """
from cart.models import Product, Stall
stall = Stall.objects.create(name="Hill Farm", slug="hill-farm")
Product.objects.create(sku="HONEY", title="Heather honey", stall=stall, price="6.50", tax_rate=0)
"""
# All that a server needs and that does not depend on where it runs.
STAGING = {"STAGING": "1", "SUMUP_API_KEY": "sup_sk_simulator", "SUMUP_MERCHANT_CODE": "MROSEASH"}


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, flush=True)


class Server:
    """The processes of the shop, as `docker run` would start them from the image."""

    def __init__(self, image: Image, settings: dict[str, str]) -> None:
        """Keep their logs in the folder of the image."""
        self.image = image
        self.family = Family(image.folder / "run", image.environment | settings)

    def start(self, name: str, command: list[str], **settings: str) -> None:
        """Start a process, with settings of its own."""
        pairs = [f"{each}={value}" for each, value in settings.items()]
        self.family.start(Part(name, ["env", *pairs, *command]))

    def start_role(self, name: str, role: str, **settings: str) -> None:
        """Start what the README starts by `docker run` for this role."""
        run = documented_runs()[role]
        self.start(name, [*self.image.entrypoint, *run.arguments], **(run.settings | settings))

    def manage(self, *command: str) -> None:
        """Run one command of manage.py to its end."""
        self.run([*self.image.entrypoint, "manage", *command])

    def run(self, command: list[str], **settings: str) -> None:
        """Run a command in the shop to its end. Raises StartError if it fails."""
        done = self.try_out(command, **settings)
        if done.returncode:
            raise StartError(f"{' '.join(command)[:80]} ended with {done.returncode}:\n{done.stdout[-3000:]}")

    def try_out(self, command: list[str], **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the shop to its end, however it ends."""
        environment = {**self.family.environment, **settings}
        return subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )

    def wait(self, holds: Callable[[], bool], otherwise: str) -> None:
        """Wait until something holds. Raises StartError if a process ends meanwhile, WentWrong if it takes too long."""
        deadline = time.monotonic() + WITHIN
        while not holds():
            self.family.check()
            make_sure(time.monotonic() < deadline, otherwise)
            time.sleep(0.5)

    def log(self, name: str) -> str:
        """All that a process has written."""
        return self.family.log(name).read_text(errors="replace")

    def logs(self) -> str:
        """The end of every log."""
        logs = sorted((self.image.folder / "run" / "log").glob("*.log"))
        return "\n".join(f"--- {log.stem}\n{log.read_text(errors='replace')[-2500:]}" for log in logs)


def start_redis(server: Server) -> dict[str, str]:
    """Start a Redis on a free port, if there is one; the settings that lead to it, or to files of this machine."""
    redis = shutil.which("redis-server", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    if redis is None:
        say("Redis was not tried: no redis-server is installed. Broker and cache are files.")
        files = server.image.folder / "cache"
        return {"CELERY_BROKER_URL": "filesystem://localhost", "CACHE_URL": f"filecache://{files}"}
    port = str(free_ports()[0])
    server.start("redis", [redis, "--bind", HOST, "--port", port, "--save", "", "--dir", str(server.image.folder)])
    return {"CELERY_BROKER_URL": f"redis://{HOST}:{port}/0", "CACHE_URL": f"rediscache://{HOST}:{port}/1"}


@dataclass(frozen=True)
class Answer:
    """What a web answered to plain http; nothing, if it did not."""

    status: int = 0
    location: str = ""
    body: bytes = b"{}"


def ask(port: int, path: str) -> Answer:
    """Ask a web directly, as the health check of its container does."""
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return Answer(answer.status, answer.getheader("Location", ""), answer.read())
    except (OSError, http.client.HTTPException):
        return Answer()
    finally:
        connection.close()


def is_ready(port: int) -> bool:
    """Whether /readyz misses nothing, neither a server nor a worker nor beat."""
    answer = ask(port, "/readyz")
    return answer.status == 200 and False not in json.loads(answer.body).values()


def open_shop(server: Server, webs: list[int]) -> None:
    """Start two webs at once on an empty database, then worker and beat; wait until the first web is ready."""
    for number, port in enumerate(webs, 1):
        server.start_role(f"web {number}", "web", PORT=str(port))
    for port in webs:
        server.wait(lambda port=port: ask(port, "/healthz").status == 200, "the web does not answer")
    say("Two webs that started at once have migrated an empty database, and answer.")
    for role in ("worker", "beat"):
        server.start_role(role, role)
    server.wait(lambda: is_ready(webs[0]), "/readyz misses something")
    say("/readyz says that the shop is ready, and that worker and beat were heard of.")


def check_health(server: Server, webs: list[int], has_redis: bool) -> None:
    """The health checks of the image, of compose.yaml and of the README succeed."""
    for port in webs:
        server.run(server.image.healthcheck, PORT=str(port))
    say("healthy-web succeeds.")
    if not has_redis:
        say("healthy-worker was not tried: it needs a broker that is no folder.")
        return
    compose = yaml.safe_load((CHECKOUT / "compose.yaml").read_text())["services"]["worker"]["healthcheck"]["test"][1:]
    for test in (compose, documented_runs()["worker"].health):
        command = [server.image.here(word) for word in test]
        server.wait(lambda command=command: not server.try_out(command).returncode, "healthy-worker fails")
    say("healthy-worker succeeds.")


def buy(server: Server, browser: Browser, mail: Mailbox) -> None:
    """One purchase, from the market to the mail."""
    market = browser.see_market()
    say("The market is styled, and has the headers that protect it.")
    page = browser.order(market, "HONEY")
    say("An order is placed by one press; every cookie is Secure.")
    number = browser.pay(page)
    browser.await_confirmation(number, server.wait)
    say(f"{number} is paid at the simulator and confirmed.")
    server.wait(lambda: bool(mail.about(number, EMAIL)), "no mail about the order came")
    say(f"Its mail came: {mail.about(number, EMAIL)[0]['Subject']}")
    server.wait(lambda: "POST /webhooks/sumup/***/ 204" in server.log("web 1"), "no webhook came through the proxy")
    say("SumUp's webhook came through the proxy.")


def rehearse(folder: Path, stack: ExitStack) -> None:
    """Everything, one after the other; whatever was started ends with the stack."""
    image = Image(folder, say)
    say(f"Building as the Dockerfile says, in {folder}:")
    image.build()
    certificate = make_certificate(folder)
    shop, sumup = stack.enter_context(proxy(certificate)), stack.enter_context(proxy(certificate))
    mail, cluster = stack.enter_context(mailbox()), stack.enter_context(throwaway())
    cluster.ensure_database(DATABASE)
    webs, (sumup.behind, _) = [*free_ports()], free_ports()
    shop.behind = webs[0]
    server = Server(image, example() | STAGING | addresses(url_of(shop), url_of(sumup), certificate))
    stack.callback(server.family.stop)
    stack.callback(stop_listening)  # from there on, nothing cuts the end short
    redis = start_redis(server)
    servers = {**redis, "DATABASE_URL": cluster.url(), "EMAIL_URL": mail.url}
    server.family.environment = {**server.family.environment, **servers}
    simulator = [sys.executable, "-m", "payments.simulator", "--port", str(sumup.behind), "--public-url", url_of(sumup)]
    server.start("simulator", simulator, SSL_CERT_FILE=str(certificate))
    try:
        open_shop(server, webs)
        server.manage("shell", "-c", PRODUCT)
        plain = ask(webs[0], "/")
        make_sure(plain.location == f"https://{HOST}:{webs[0]}/", f"plain http does not lead to https ({plain.status})")
        say("Plain http leads to https.")
        buy(server, Browser(url_of(shop), certificate), mail)
        check_health(server, webs, redis["CELERY_BROKER_URL"].startswith("redis"))
        server.family.check()
    except (StartError, WentWrong, OSError) as error:
        raise WentWrong(f"{error}\n\n{server.logs()}") from error


def addresses(shop: str, sumup: str, certificate: Path) -> dict[str, str]:
    """What is filled in of .env.example, for this machine."""
    return {
        "SECRET_KEY": secrets.token_urlsafe(50),
        "ALLOWED_HOSTS": HOST,
        "PUBLIC_URL": shop,
        "TRUSTED_PROXIES": HOST,
        "SUMUP_API_URL": sumup,
        "REQUESTS_CA_BUNDLE": str(certificate),
    }


def main() -> int:
    """Rehearse, and say how it ended; the exit status."""
    listen()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rose-production-") as folder, ExitStack() as stack:
        try:
            rehearse(Path(folder), stack)
        except Told as told:
            return 128 + told.signum
        except (StartError, StepFailed, WentWrong, OSError) as error:
            print(f"\nThe production check failed: {error}", file=sys.stderr)
            return 1
    say(f"The production shop sells. ({time.monotonic() - begun:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
