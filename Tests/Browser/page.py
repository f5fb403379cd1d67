#!/usr/bin/env python3
"""The page of `tts-synth serve` in a real browser without a screen: a sentence is typed and heard, stopped, refused.

    Tests/Browser/page.py BIN MODEL [SCREENSHOT.png]

Needs Chromium with its driver, and Selenium for Python (Debian: chromium-driver, python3-selenium).
"""
import pathlib
import subprocess
import sys

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

# What is played is counted where the page hands it to the browser.
SPY = """
window.played = 0; window.loudest = 0;
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (...rest) {
  window.played += this.buffer.duration;
  for (const x of this.buffer.getChannelData(0)) window.loudest = Math.max(window.loudest, Math.abs(x));
  return start.apply(this, rest);
};
"""


def expect(condition: bool, what: str) -> None:
    if not condition:
        sys.exit(f"page: {what}")


def main() -> None:
    tools, model = pathlib.Path(sys.argv[1]), sys.argv[2]
    server = subprocess.Popen(
        [tools / "tts-synth", "serve", "--model", model, "--voice", f"me={model}/voice.wav", "--port", "0", "--queue", "0"],
        stdout=subprocess.PIPE, text=True)
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=900,640",
                     "--autoplay-policy=no-user-gesture-required"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
    try:
        address = server.stdout.readline().strip()
        browser.get(address)
        browser.execute_script(SPY)
        text, say, stop, state = (browser.find_element(By.ID, name) for name in ("text", "say", "stop", "state"))
        idle = lambda _: say.is_enabled()
        voices = [option.text for option in Select(browser.find_element(By.ID, "voice")).options]
        expect(voices == ["default", "me"], f"the voices are {voices}")

        text.clear()
        text.send_keys("Hello from a browser.")
        Select(browser.find_element(By.ID, "voice")).select_by_visible_text("me")
        say.click()
        WebDriverWait(browser, 60).until(lambda _: stop.is_enabled())
        WebDriverWait(browser, 120).until(idle)
        played, loudest = browser.execute_script("return [window.played, window.loudest]")
        expect(played > 0.2 and loudest > 0, f"{played} s were played, at most {loudest} loud")
        expect(state.text == f"{played:.1f} s", f"it says '{state.text}' of {played} s")
        if len(sys.argv) > 3:
            browser.save_screenshot(sys.argv[3])

        # A text that takes long is stopped, and the server is free for the next one.
        text.clear()
        text.send_keys("One. [pause 60s] Two.")
        say.click()
        WebDriverWait(browser, 60).until(lambda _: state.text.endswith(" s"))
        stop.click()
        WebDriverWait(browser, 10).until(idle)
        expect(state.text == "stopped", f"after a stop it says '{state.text}'")

        text.clear()
        text.send_keys("Oops [pause soon].")


        def is_refused(_) -> bool:
            # The stopped request may still hold its place.
            say.click()
            WebDriverWait(browser, 30).until(idle)
            return "pause" in state.text

        WebDriverWait(browser, 30).until(is_refused)
        expect("is no pause" in state.text, f"a wrong mark gives '{state.text}'")
        # What a wrong request is answered with is in the log; nothing else may be.
        wrong = [e for e in browser.get_log("browser") if e["level"] == "SEVERE" and "/v1/audio/speech" not in e["message"]
                 and "favicon" not in e["message"]]
        expect(not wrong, f"the browser complains: {wrong}")
        print(f"page: {played:.1f} s heard in {browser.capabilities['browserName']} {browser.capabilities['browserVersion']}")
    finally:
        browser.quit()
        server.terminate()
        expect(server.wait(20) == 0, "the server ended badly")


if __name__ == "__main__":
    main()
