"""Appeals at the simulated Aetna, one after the other: by us, and by a Selenium script as a plain user would write it.

`python -m benchmarks.portal_visits ours|selenium SITE FIRST COUNT` prints how many seconds each took, as JSON: a
process of its own, so that what it and its browsers use can be told from everything else.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as shown
from selenium.webdriver.support.ui import WebDriverWait

from shared.adapters.memory_codes import InMemoryCodeWindows
from shared.portals.browser import BrowserHost
from shared.portals.chromium import find_chromium, find_headless_shell
from shared.portals.portals import BrowserPortals, Lighter
from shared.ports.clock import system_clock
from shared.ports.portal import Credentials, PortalFile

USERNAME: Final = "clinic"
PASSWORD: Final = "portal-demo"  # noqa: S105 - of the simulator
LETTER: Final = b"%PDF-1.7\n" + b"x" * 50_000
WAIT_S: Final = 15


def ours(site: str, first: int, count: int) -> list[float]:
    """Submit appeals as the worker does: sign in, look up, prepare, commit, confirm, and keep the evidence."""
    shell = find_headless_shell()
    portals = BrowserPortals(
        BrowserHost(),
        clock=system_clock,
        windows=InMemoryCodeWindows(),
        sites=f"{site}/{{portal}}",
        lighter=Lighter(BrowserHost(shell), ["aetna"]) if shell else None,
    )
    flow, took = portals.flow("aetna", "submit_appeal"), list[float]()
    for number in range(first, first + count):
        started = time.monotonic()
        fields = {"claim_number": f"CLM-{number}", "member_id": "W000", "client_reference": f"UP-{number}"}
        with portals.session(flow.id, credentials=Credentials(USERNAME, PASSWORD)) as visit:
            visit.sign_in()
            visit.prepare(fields, [PortalFile("letter", "letter.pdf", LETTER)])
            visit.commit()
            visit.confirm()
            visit.evidence()
        took.append(time.monotonic() - started)
    portals.close()
    return took


def selenium(site: str, first: int, count: int) -> list[float]:
    """Submit the same appeals, each with a browser of its own, and a picture of the confirmation."""
    took = list[float]()
    with tempfile.TemporaryDirectory() as folder:
        letter = Path(folder) / "letter.pdf"
        letter.write_bytes(LETTER)
        for number in range(first, first + count):
            started = time.monotonic()
            driver = webdriver.Chrome(
                options=_options(), service=webdriver.ChromeService("/usr/bin/chromedriver")
            )
            try:
                _appeal(driver, f"{site}/aetna", number, letter)
                driver.save_screenshot(str(Path(folder) / f"{number}.png"))
            finally:
                driver.quit()
            took.append(time.monotonic() - started)
    return took


def _options() -> webdriver.ChromeOptions:
    options = webdriver.ChromeOptions()
    options.binary_location = find_chromium() or ""
    for argument in ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    return options


def _appeal(driver: webdriver.Chrome, site: str, number: int, letter: Path) -> None:
    wait = WebDriverWait(driver, WAIT_S)
    driver.get(f"{site}/login")
    wait.until(shown.visibility_of_element_located((By.ID, "u"))).send_keys(USERNAME)
    driver.find_element(By.ID, "p").send_keys(PASSWORD)
    driver.find_element(By.TAG_NAME, "button").click()
    wait.until(shown.visibility_of_element_located((By.XPATH, "//h1[text()='Welcome']")))
    driver.get(f"{site}/appeals/new")
    wait.until(shown.visibility_of_element_located((By.ID, "f1"))).send_keys(f"CLM-{number}")
    driver.find_element(By.ID, "f2").send_keys("W000")
    driver.find_element(By.ID, "f3").send_keys(f"UP-{number}")
    driver.find_element(By.ID, "d1").send_keys(str(letter))
    driver.find_element(By.TAG_NAME, "button").click()
    wait.until(shown.visibility_of_element_located((By.XPATH, "//h1[text()='Review your request']")))
    driver.find_element(By.TAG_NAME, "button").click()
    wait.until(shown.visibility_of_element_located((By.ID, "confirmation-number")))


def main() -> None:
    """Do as the arguments say."""
    who, site, first, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    took = {"ours": ours, "selenium": selenium}[who](site, first, count)
    sys.stdout.write(json.dumps(took) + "\n")


if __name__ == "__main__":
    main()
