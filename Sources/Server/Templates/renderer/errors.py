"""What is told of a rendering that failed: Bcfg2's words, then file and line."""
import re
import traceback

from bcfg2_renderer.trace import RECORDER

_GENERATED = re.compile(r"(?:from|on) line (\d+), col")


def _text(error):
    try:
        return u'%s' % (error,)
    except Exception:
        return repr(error)


def describe(render, error, trace):
    """The text of an error: `CLASS: MESSAGE at 'SOURCE LINE' (FILE, line N)` for Genshi, the message for the others."""
    frames = traceback.extract_tb(trace)
    own = [frame for frame in frames if frame[0] == render.path]
    inner = [frame for frame in frames if frame[0] == render.path or RECORDER.is_below(frame[0])]
    text = _text(error)
    kind = type(error).__name__
    if render.kind == 'cheetah':
        return _located(text or kind, [(render.path, _cheetah_line(render, own))] if own else [])
    if render.kind == 'jinja2':
        return _located(text or kind, [(frame[0], frame[1]) for frame in inner])
    text = '%s: %s' % (kind, text)
    if own and kind == 'UndefinedError' and own[-1][2].startswith('<Expression'):
        text += " at '%s'" % own[-1][2]
    elif own:
        line = _line(render.source['data'], own[-1][1])
        if line:
            text += " at '%s'" % line
    return _located(text, [(frame[0], frame[1]) for frame in inner])


def _located(text, places):
    if not places or places[-1][1] is None:
        return text
    place = '(%s, line %d)' % places[-1]
    return text if place in text else '%s %s' % (text, place)


def _line(data, number):
    lines = data.decode('utf-8', 'replace').splitlines()
    return lines[number - 1].strip() if 0 < number <= len(lines) else None


def _cheetah_line(render, frames):
    """The line of the template that generated the line of code that failed."""
    lines = render.generated_lines
    if not frames or not lines:
        return None
    number = min(frames[-1][1], len(lines))
    for line in reversed(lines[:number + 1]):
        match = _GENERATED.search(line)
        if match:
            return int(match.group(1))
    return None
