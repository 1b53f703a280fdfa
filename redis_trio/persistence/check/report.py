"""What was found out about files, told to people, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime

from redis_trio.persistence.check.files import CheckedFile
from redis_trio.persistence.check.summary import BigKey, KeySummary


def text(data: bytes) -> str:
    """Return bytes in readable form."""
    shown = data.decode("utf-8", "backslashreplace")
    return shown if shown.isprintable() else repr(data)[2:-1]


def size(count: int) -> str:
    """Return a number of bytes as people read it."""
    if count < 1024:
        return f"{count} B"
    for exponent, unit in enumerate(("KB", "MB", "GB"), 1):
        if count < 1024 ** (exponent + 1):
            return f"{count / 1024**exponent:.1f} {unit}"
    return f"{count / 1024**4:.1f} TB"


def moment(when_ms: int) -> str:
    """Return a time, in UTC."""
    try:
        return datetime.fromtimestamp(when_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"{when_ms} ms"


def plural(count: int, word: str, several: str = "") -> str:
    """Return a number of things."""
    return f"{count:,} {word if count == 1 else several or word + 's'}"


def library_name(code: bytes) -> str:
    """Return the name of a library, as its first line says it."""
    for word in code.split(b"\n", 1)[0].split():
        if word.startswith(b"name="):
            return text(word[5:])
    return "?"


def _table(rows: list[list[str]]) -> list[str]:
    """Return rows as lines; all columns but the first ones with letters stand to the right."""
    widths = [max([len(row[i]) for row in rows]) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if cell[:1].isdigit() else cell.ljust(width)
            for cell, width in zip(row, widths, strict=True)
        ]
        lines.append(("    " + "  ".join(cells)).rstrip())
    return lines


# -- for people


def file_lines(checked: CheckedFile) -> list[str]:
    """Return what is to be said of a file."""
    role = f", {checked.role}" if checked.role else ""
    lines = [f"{checked.path}: {checked.kind}{role}, {size(checked.size_bytes)}"]
    if checked.rdb is not None:
        lines += _rdb_lines(checked)
    if checked.rdb is None or checked.commands.commands:
        lines += _command_lines(checked)
    if checked.behind:
        lines.append(f"  {size(checked.behind)} behind the end are not read")
    damage = checked.damage
    if damage is None:
        lines.append("  OK")
    else:
        reason = text(damage.reason.encode("utf-8", "surrogateescape"))
        lines.append(f"  DAMAGED at byte {damage.offset}: {reason}")
        if damage.whole >= 0:
            lost = checked.size_bytes - damage.whole
            lines.append(f"  Good up to byte {damage.whole}; {size(lost)} are behind that")
        if checked.fixed:
            lines.append(f"  Cut off at byte {damage.whole}")
    return lines


def _rdb_lines(checked: CheckedFile) -> list[str]:
    rdb = checked.rdb
    assert rdb is not None
    lines = []
    if rdb.version:
        state = "right" if rdb.checked else "none" if rdb.done else "not reached"
        lines.append(f"  Version {rdb.version}, checksum: {state}")
    for name, value in rdb.aux.items():
        shown = text(value)
        if name == b"ctime" and value.isdigit() and len(value) < 12:
            shown += f" ({moment(int(value) * 1000)} UTC)"
        elif name == b"used-mem" and value.isdigit():
            shown += f" ({size(int(value))})"
        lines.append(f"  {text(name)}: {shown}")
    for code in rdb.libraries:
        lines.append(f"  Function library: {library_name(code)}, {size(len(code))}")
    for module in rdb.skipped_modules:
        lines.append(f"  Data of a module, passed over: {text(module)}")
    return lines + _key_lines(checked.keys)


def _key_lines(keys: KeySummary) -> list[str]:
    lines = [f"  {plural(keys.keys, 'key')}"]
    if keys.empty:
        lines[0] += f", {keys.empty:,} of them without elements, which are passed over"
    if keys.expires:
        ends = f"from {moment(keys.first_ms)} to {moment(keys.last_ms)} UTC"
        lines.append(f"  {keys.expires:,} with a deadline, {ends}; {keys.expired:,} have expired")
    if keys.fields:
        lines.append(f"  {plural(keys.fields, 'field')} of hashes with a deadline")
    if keys.kinds:
        rows = [["type", "encoding", "keys", "elements", "bytes"]]
        for (kind, encoded), tally in sorted(keys.kinds.items()):
            counts = [tally.keys, tally.elements, tally.size_bytes]
            rows.append([kind, encoded, *[f"{count:,}" for count in counts]])
        lines += ["  By type and encoding:", *_table(rows)]
    if keys.databases:
        rows = [["database", "keys", "with a deadline"]]
        for index, (count, expires) in sorted(keys.databases.items()):
            rows.append([str(index), f"{count:,}", f"{expires:,}"])
        lines += ["  By database:", *_table(rows)]
    if keys.biggest:
        rows = [["bytes", "elements", "type", "encoding", "database", "key"]]
        for one in keys.biggest:
            rows.append(
                [
                    *(f"{one.size_bytes:,}", f"{one.elements:,}", one.kind, one.encoding),
                    *(str(one.db), "'" + text(one.key)[:200] + "'"),
                ]
            )
        lines += ["  The biggest keys:", *_table(rows)]
    return lines


def _command_lines(checked: CheckedFile) -> list[str]:
    commands = checked.commands
    line = f"  {plural(commands.commands, 'command')}"
    if commands.transactions:
        line += f", {plural(commands.transactions, 'transaction')}"
    if commands.databases:
        line += ", databases " + ", ".join([str(index) for index in sorted(commands.databases)])
    lines = [line]
    if commands.names:
        ordered = sorted(commands.names.items(), key=lambda item: (-item[1], item[0]))
        lines += _table([[f"{count:,}", text(name)[:100]] for name, count in ordered[:20]])
    return lines


# -- as JSON


def to_json(files: Iterable[CheckedFile]) -> str:
    """Return what was found out about files as JSON."""
    return json.dumps({"files": [_file_object(checked) for checked in files]}, indent=2)


def _file_object(checked: CheckedFile) -> dict[str, object]:
    damage = checked.damage
    found: dict[str, object] = {
        "path": checked.path,
        "kind": checked.kind,
        "role": checked.role,
        "size_bytes": checked.size_bytes,
        "ok": damage is None or checked.fixed,
        "damage": None
        if damage is None
        else {
            "offset": damage.offset,
            "reason": damage.reason,
            "good_bytes": damage.whole,
            "fixed": checked.fixed,
        },
    }
    rdb = checked.rdb
    if rdb is not None:
        found["version"] = rdb.version
        found["checksum"] = rdb.checked
        found["aux"] = {text(name): text(value) for name, value in rdb.aux.items()}
        found["libraries"] = [library_name(code) for code in rdb.libraries]
        found["modules"] = [text(name) for name in rdb.skipped_modules]
        found["bytes_behind"] = checked.behind
        found["keys"] = _keys_object(checked.keys)
    commands = checked.commands
    found["commands"] = {
        "count": commands.commands,
        "transactions": commands.transactions,
        "databases": sorted(commands.databases),
        "names": {text(name): count for name, count in sorted(commands.names.items())},
    }
    return found


def _keys_object(keys: KeySummary) -> dict[str, object]:
    return {
        "count": keys.keys,
        "empty": keys.empty,
        "expires": keys.expires,
        "expired": keys.expired,
        "first_expiry_ms": keys.first_ms if keys.expires else None,
        "last_expiry_ms": keys.last_ms if keys.expires else None,
        "expiring_fields": keys.fields,
        "kinds": [
            {
                "type": kind,
                "encoding": encoded,
                "keys": tally.keys,
                "elements": tally.elements,
                "bytes": tally.size_bytes,
            }
            for (kind, encoded), tally in sorted(keys.kinds.items())
        ],
        "databases": {
            str(index): {"keys": count, "expires": expires}
            for index, (count, expires) in sorted(keys.databases.items())
        },
        "biggest": [_big_object(one) for one in keys.biggest],
    }


def _big_object(one: BigKey) -> dict[str, object]:
    return {
        "db": one.db,
        "key": text(one.key),
        "type": one.kind,
        "encoding": one.encoding,
        "bytes": one.size_bytes,
        "elements": one.elements,
    }
