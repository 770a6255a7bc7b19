"""Memory and start-up: PSS after start, after 3,000 messages with 50 idle IMAP connections; seconds to ``ready``.

python -m bench.memory
"""

from __future__ import annotations

import imaplib
import smtplib
import time

from tests.live.appliance import Appliance

PASSWORD = "correct horse battery"


def main() -> None:
    extra = "[limits]\nconnections_per_address = 1000\n[guard]\nexempt = ['127.0.0.0/8']\n"
    with Appliance(extra=extra) as appliance:
        appliance.people("example.test", "ann", password=PASSWORD)
        appliance.stop()
        began = time.monotonic()
        appliance.start()
        print(f"start to ready: {time.monotonic() - began:.2f} s")
        time.sleep(2)
        print(f"PSS after start: {appliance.pss_kib() / 1024:.1f} MiB")
        client = smtplib.SMTP("127.0.0.1", appliance.ports["smtp"], local_hostname="sender.example")
        for number in range(3000):
            text = (
                f"From: s@sender.example\r\nSubject: {number}\r\n\r\n" + "A line of text as people write it.\r\n" * 100
            )
            client.sendmail("s@sender.example", ["ann@example.test"], text)
        client.quit()
        idle = []
        for _ in range(50):
            connection = imaplib.IMAP4_SSL("127.0.0.1", appliance.ports["imaps"])
            connection.login("ann@example.test", PASSWORD)
            connection.select("INBOX")
            connection.send(b"x IDLE\r\n")
            connection.readline()
            idle.append(connection)
        time.sleep(2)
        print(f"PSS after 3,000 messages and with 50 idle IMAP connections (TLS): {appliance.pss_kib() / 1024:.1f} MiB")


if __name__ == "__main__":
    main()
