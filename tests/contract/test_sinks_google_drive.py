"""The stage's Drive, as Google's own client finds it; every answer is held to Google's schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from googleapiclient.http import MediaInMemoryUpload

from locum.rehearsal.google.drive import DOCUMENT, FOLDER
from locum.rehearsal.google.identity import SCOPE_ROOT
from tests.contract.discovery_schema import DRIVE, method_of, validator
from tests.contract.google_rig import ANNA, BEN, GoogleRig, google_rig, refusal

SCOPES = (f"{SCOPE_ROOT}drive.file",)
ALL = "kind,id,name,mimeType,parents,appProperties,permissions,webViewLink,shared,trashed"


@pytest.fixture
def rig() -> Iterator[GoogleRig]:
    with google_rig() as ready:
        yield ready


def drive(rig: GoogleRig, email: str = ANNA) -> Any:
    return rig.client_with(rig.credentials(email, SCOPES), DRIVE)


def page(text: str = "<h1>Sync</h1>", kind: str = "text/html") -> MediaInMemoryUpload:
    return MediaInMemoryUpload(text.encode(), mimetype=kind, resumable=False)


def made(rig: GoogleRig, **more: Any) -> Any:
    body = {"name": "Sync", "mimeType": DOCUMENT, "appProperties": {"locum": "a"}, **more}
    files = drive(rig).files()
    return files.create(body=body, media_body=page(), fields=ALL).execute()


def test_a_page_becomes_a_document_that_only_its_owner_has(rig: GoogleRig) -> None:
    """Multipart, converted; one permission, and nobody else's."""
    answer = made(rig)
    [file] = rig.stage.drive.documents(ANNA)

    assert list(validator("File", DRIVE).iter_errors(answer)) == []
    assert (answer["mimeType"], answer["shared"]) == (DOCUMENT, False)
    assert [(each["role"], each["emailAddress"]) for each in answer["permissions"]] == [
        ("owner", ANNA)
    ]
    assert answer["webViewLink"].startswith(f"https://docs.google.com/document/d/{file.id}/")
    assert (file.content, file.uploaded_as) == (b"<h1>Sync</h1>", "text/html")
    for verb, path in (
        ("POST", "/upload/drive/v3/files"),
        ("PATCH", f"/upload/drive/v3/files/{file.id}"),
        ("GET", "/drive/v3/about"),
    ):
        assert method_of(verb, path) is not None


def test_a_document_is_found_by_its_property_and_written_anew(rig: GoogleRig) -> None:
    """The same id, another content; one in the bin isn't found."""
    answer = made(rig)
    made(rig, appProperties={"locum": "b"})
    files = drive(rig).files()
    query = "appProperties has { key='locum' and value='a' } and trashed = false"
    found = files.list(q=query, orderBy="createdTime", fields="files(id)").execute()
    assert found == {"files": [{"id": answer["id"]}]}
    changed = files.update(
        fileId=answer["id"], body={"name": "New"}, media_body=page("<p>2</p>"), fields=ALL
    ).execute()
    assert (changed["id"], changed["name"]) == (answer["id"], "New")
    assert rig.stage.drive.files[answer["id"]].content == b"<p>2</p>"
    rig.stage.drive.bin(answer["id"])
    assert files.list(q=query, fields="files(id)").execute() == {"files": []}


def test_nobody_sees_anothers_files(rig: GoogleRig) -> None:
    """`drive.file` shows what one made oneself."""
    answer = made(rig)
    theirs = drive(rig, BEN).files()

    assert theirs.list(fields="files(id)").execute() == {"files": []}
    assert refusal(theirs.get(fileId=answer["id"])) == (404, "notFound")
    assert refusal(theirs.update(fileId=answer["id"], body={"name": "x"})) == (404, "notFound")


def test_a_folder_holds_a_document_and_a_missing_one_doesn_t(rig: GoogleRig) -> None:
    """Parents are given when a file is made, and not by an update."""
    files = drive(rig).files()
    folder = files.create(body={"name": "Meetings", "mimeType": FOLDER}, fields="id").execute()
    answer = made(rig, parents=[folder["id"]])
    assert answer["parents"] == [folder["id"]]
    body = {"mimeType": DOCUMENT, "parents": ["nowhere"]}
    assert refusal(files.create(body=body)) == (404, "notFound")
    moved = files.update(fileId=answer["id"], body={"parents": ["root"]})
    assert refusal(moved) == (403, "fieldNotWritable")


def test_scopes_room_and_properties_have_limits(rig: GoogleRig) -> None:
    """403 for each that is about permission or room, 400 for a property that is too long."""
    client = rig.client_with(rig.credentials(ANNA), DRIVE)
    assert refusal(client.files().list()) == (403, "insufficientPermissions")
    files = drive(rig).files()
    body = {"appProperties": {"locum": "x" * 200}}
    assert refusal(files.create(body=body)) == (400, "invalid")
    rig.stage.drive.limit = 3
    full = files.create(body={"mimeType": DOCUMENT}, media_body=page())
    assert refusal(full) == (403, "storageQuotaExceeded")
    about = drive(rig).about()
    assert refusal(about.get()) == (400, "required")
    assert about.get(fields="storageQuota(limit)").execute() == {"storageQuota": {"limit": "3"}}


def test_what_drive_can_t_convert_or_read_is_refused(rig: GoogleRig) -> None:
    """Another kind of content, and a search that the stage doesn't know."""
    files = drive(rig).files()
    odd = files.create(body={"mimeType": DOCUMENT}, media_body=page("x", "image/webp"))
    assert refusal(odd) == (400, "badRequest")
    assert refusal(files.list(q="fullText contains 'x'")) == (400, "invalid")
