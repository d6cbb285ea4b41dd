"""`locum summarise`, and the bench that scores what it prints."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from locum.cli.root import app
from tests.bench import summaries
from tests.unit.test_extractive import BATTERY, HIRING

SAID = tuple(
    (("Anna Weber", "Ben Okoro")[n % 2], line) for n, line in enumerate((*BATTERY, *HIRING))
)
LINES = "\n".join(f"{speaker}: {line}" for speaker, line in SAID)


def locum_summarises(*arguments: str | Path, stdin: str = "") -> Any:
    given = ["summarise", *map(str, arguments)]
    return CliRunner().invoke(app, given, input=stdin, prog_name="locum")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weekly.txt"
    path.write_text(LINES, "utf-8")
    return path


def test_people_get_one_text_with_quotes(file: Path) -> None:
    """The overview first, then details with their quotes and where they stand."""
    done = locum_summarises(file, "--title", "Weekly sync")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("# Weekly sync\n\nThe meeting was about ")
    assert "## Who spoke" in done.stdout
    quoted = re.findall(r"  > (.*) \[(u\d+)\]\n", done.stdout)
    assert quoted
    for quote, name in quoted:
        assert quote in SAID[int(name[1:]) - 1][1]


def test_scripts_get_the_minutes_as_json(file: Path) -> None:
    """Every claim in the JSON has evidence, and nothing else is on stdout."""
    done = locum_summarises(file, "--json", "--owner", "Anna Weber")
    told = json.loads(done.stdout)
    assert done.exit_code == 0
    assert told["written_by"] == "extractive"
    assert told["language"] == "en"
    assert all(claim["evidence"] for claim in told["tldr"])
    assert sum(share["words"] for share in told["shares"]) == sum(
        len(line.split()) for _, line in SAID
    )


def test_stdin_is_a_file_too() -> None:
    """`-` reads what is piped in."""
    done = locum_summarises("-", stdin=LINES)
    assert done.exit_code == 0
    assert "The meeting was about " in done.stdout


def test_questions_are_answered_with_their_utterances(file: Path) -> None:
    """`--ask` prints an answer, and below it what it was made of."""
    done = locum_summarises(file, "--ask", "What did Anna say about the solar panel?")
    assert done.exit_code == 0
    assert "Anna Weber" in done.stdout
    assert "] Anna Weber: I think the solar panel makes" in done.stdout


def test_questions_that_nothing_answers_exit_1(file: Path) -> None:
    """No answer is said to be none, in words and in JSON."""
    plain = locum_summarises(file, "--ask", "Who won the football match?")
    as_json = locum_summarises(file, "--json", "--ask", "Who won the football match?")
    assert (plain.exit_code, plain.stdout) == (1, "")
    assert "doesn't tell" in plain.stderr
    assert (as_json.exit_code, json.loads(as_json.stdout)) == (1, None)


def test_times_of_a_recording_are_shown_from_its_beginning(tmp_path: Path) -> None:
    """Without --start a topic has the time within the file."""
    path = tmp_path / "m.vtt"
    cues = (
        f"00:{n:02}:30.000 --> 00:{n:02}:40.000\n<v {who}>{line}\n"
        for n, (who, line) in enumerate(SAID)
    )
    path.write_text("WEBVTT\n\n" + "\n".join(cues), "utf-8")
    done = locum_summarises(path)
    assert done.exit_code == 0
    assert "(00:00:30)" in done.stdout
    began = locum_summarises(path, "--json", "--start", "2026-11-23T10:00+01:00")
    assert json.loads(began.stdout)["topics"][0]["began_at"] == "2026-11-23T09:00:30+00:00"


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["none.txt"], 1, "none.txt can't be read"),
        ([], 2, "name a file with a transcript"),
        (["-", "--start", "ten"], 2, "write it as 2026-11-23T10:00+01:00"),
    ],
)
def test_mistakes_are_told(arguments: list[str], code: int, told: str) -> None:
    """One message, the next step, and the usual codes."""
    done = locum_summarises(*arguments)
    assert done.exit_code == code
    assert told in done.stderr


# ── the bench ────────────────────────────────────────────────────────────────────────────


def test_bench_ends_with_its_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last lines are what others read; a perfect answer scores 100, an empty one 0."""
    turns = [{"speaker": who, "content": line} for who, line in SAID]
    meeting: dict[str, Any] = {"meeting_transcripts": turns}
    path = tmp_path / "m.json"
    path.write_text(json.dumps(meeting), "utf-8")
    told = json.loads(locum_summarises(path, "--json").stdout)
    meeting["general_query_list"] = [
        {"query": "Summarize.", "answer": "\n".join(claim["text"] for claim in told["tldr"])}
    ]
    meeting["specific_query_list"] = [
        {"query": "Who won the football match?", "answer": "Nobody did."}
    ]
    path.write_text(json.dumps(meeting), "utf-8")

    assert summaries.main([str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3] == "general R1=100.00 R2=100.00 RL=100.00"
    assert lines[-2] == "specific R1=0.00 R2=0.00 RL=0.00"
    assert lines[-1].startswith("seconds per meeting ")
    assert "dropped 0" in lines[0]


def test_bench_names_an_empty_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder without meetings is told, rather than scored."""
    assert summaries.main([str(tmp_path)]) == 1
    assert "holds no *.json" in capsys.readouterr().err
