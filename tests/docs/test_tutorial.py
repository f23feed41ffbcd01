"""docs/tutorial.md is what its script writes around what the commands print: nothing on it was written by hand."""

import re

from tools import tutorial


def test_the_page_has_every_text_and_command_of_the_script():
    page = tutorial.PAGE.read_text(encoding="utf-8")
    place = 0
    for part in re.split(tutorial.BLOCK, tutorial.TEXT)[:: tutorial.BLOCK.groups + 1]:
        assert part in page[place:], part
        place = page.index(part, place) + len(part)
    for block in tutorial.BLOCK.finditer(tutorial.TEXT):
        for line in block["text"].splitlines():
            assert line in page, f"{line}: run python -m tools.tutorial"


def test_commands_were_answered_and_no_path_of_a_machine_is_left():
    page = tutorial.PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```", page, re.M | re.S)
    answers = [answer for block in blocks for answer in re.split(r"^\$ .*\n", block, flags=re.M)[1:]]
    assert len(answers) >= 10
    assert all(answer.strip() for answer in answers)
    assert "Traceback" not in page
    assert not re.search(r"/tmp/|/work/|/root/", page)
    assert tutorial.PICTURE.stat().st_size < 100_000
