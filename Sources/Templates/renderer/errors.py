"""What is told of a rendering that failed: Bcfg2's words, then file and line."""
import re
import traceback

from bcfg2_renderer.trace import RECORDER

_GENERATED = re.compile(r"(?:from|on) line (\d+), col")


# What tells two objects apart would make a message another one each time.
_ADDRESS = re.compile(r' at 0x[0-9a-fA-F]+')
# Python's own place of an error in code that has no file.
_NO_FILE = re.compile(r' \((?:<[^>]*>)?, line \d+\)')


def describe_text(error):
    try:
        text = u'%s' % (error,)
    except Exception:
        text = repr(error)
    return _ADDRESS.sub('', text)


def one_line(text):
    """A message as one line of the log: line feeds become blanks."""
    return u' '.join(part.strip() for part in text.splitlines() if part.strip())


class _Named(object):
    """Stands for a value in a message: Genshi would show all that is in it, such as passwords in a file of Properties."""

    def __init__(self, owner):
        self.owner = owner

    def __repr__(self):
        owner = self.owner
        if owner is None or isinstance(owner, (bool, int, float)) or type(owner).__module__ == 'lxml.etree':
            return repr(owner)
        return 'a value of type %s' % owner.__class__.__name__


def name_owners(module):
    """Has genshi.template.eval name the type of a value that lacks a member."""
    absent, error = module.UNDEFINED, module.UndefinedError

    def undefined(cls, key, owner=absent):
        raise error(key, owner=owner if owner is absent else _Named(owner))

    module.StrictLookup.undefined = classmethod(undefined)


def _chain(error):
    while error is not None:
        yield error
        error = getattr(error, '__cause__', None) or getattr(error, '__context__', None)


def _syntax(error, path):
    """Message and place of an error in the syntax of a Genshi or Jinja2 template; None for another error."""
    if not any(kind.__name__ == 'TemplateSyntaxError' for kind in type(error).__mro__):
        return None
    file = getattr(error, 'filename', None) or path
    line = getattr(error, 'lineno', None)
    text = getattr(error, 'msg', None) or getattr(error, 'message', None)
    for cause in _chain(error):
        if getattr(cause, 'template_line', None):
            text, line = cause.msg, cause.template_line
            break
    text = _ADDRESS.sub('', _NO_FILE.sub('', u'%s' % (text,)))
    return text, (path if file == '<string>' else file), line if line and line > 0 else None


def describe_loading(error, path, source):
    """The text of an error that keeps a template from being loaded: `MESSAGE (FILE, line N)`."""
    found = _syntax(error, path)
    if found is None:
        return describe_text(error)
    text, file, line = found
    bad = re.match(r'bad directive "(.*)"', text)
    if line is None and bad:
        line = _line_with(source, r'(?m)\{%%\s*%s\b|^\s*#%s\b' % (re.escape(bad.group(1)), re.escape(bad.group(1))))
    return _located(text, [(file, line)])


def _line_with(source, pattern):
    text = source.decode('utf-8', 'replace')
    match = re.search(pattern, text)
    return text.count('\n', 0, match.end()) + 1 if match else None


_RULE = re.compile(r'(?m)^={20,}$')
_CHEETAH_PLACE = re.compile(r'(?m)^Line (\d+), column \d+(?: in file .*)?$')


def describe_cheetah(error, path, source):
    """Cheetah's report of an error in a template, some twenty lines, as one."""
    text = describe_text(error).strip()
    parts = _RULE.split(text)
    line = None
    if len(parts) > 1:
        # An error of the Python code that Cheetah made.
        report = [part for part in parts[1].strip().splitlines() if part.strip()]
        message = re.sub(r' \([^()]*, line \d+\)$', '', report[0]) if report else parts[0].strip()
        marked = [index for index, part in enumerate(report) if part.strip() == '^']
        code = report[marked[0] - 1].split('|', 1)[-1].strip() if marked and marked[0] else ''
        generated = _GENERATED.search(code)
        line = int(generated.group(1)) if generated else _line_with(source, re.escape(code)) if code else None
    else:
        message = text.splitlines()[0] if text else type(error).__name__
        match = _CHEETAH_PLACE.search(text)
        line = int(match.group(1)) if match else None
    return _located(message, [(path, line)])


def describe(render, error, trace):
    """The text of an error: `CLASS: MESSAGE at 'SOURCE LINE' (FILE, line N)` for Genshi, the message for the others."""
    frames = traceback.extract_tb(trace)
    own = [frame for frame in frames if frame[0] == render.path]
    inner = [frame for frame in frames if frame[0] == render.path or RECORDER.is_below(frame[0])]
    text = describe_text(error)
    kind = type(error).__name__
    if kind == 'KeyError' and render.kind in ('cheetah', 'jinja2'):
        # The text is the key alone.
        text = 'KeyError: %s' % text
    syntax = _syntax(error, render.path)
    if syntax is not None and syntax[2]:
        return _located(syntax[0] if render.kind == 'jinja2' else '%s: %s' % (kind, syntax[0]), [syntax[1:]])
    if render.kind == 'cheetah':
        if kind == 'ParseError':
            return describe_cheetah(error, _cheetah_file(trace) or render.path, render.source['data'])
        included = _cheetah_included(trace)
        if included is not None:
            return _located(text or kind, [included])
        return _located(text or kind, [(render.path, _cheetah_line(render, own))] if own else [])
    if render.kind == 'jinja2':
        if kind == 'TemplateNotFound':
            text = 'there is no template %s' % text
        return _located(text or kind, [(frame[0], frame[1]) for frame in inner])
    text = '%s: %s' % (kind, text)
    if kind == 'TemplateNotFound' and not inner:
        place = _include_place(trace)
        return _located(text, [place] if place else [])
    if own and kind == 'UndefinedError' and own[-1][2].startswith('<Expression'):
        text += " at '%s'" % own[-1][2]
    elif own:
        line = _line(render.source['data'], own[-1][1])
        if line:
            text += " at '%s'" % line
    return _located(text, [(frame[0], frame[1]) for frame in inner])


def describe_import(error, path, trace):
    """The text of an error that keeps a module from being imported: `CLASS: MESSAGE (FILE, line N)`."""
    if isinstance(error, SyntaxError):
        text, places = error.msg, [(error.filename or path, error.lineno)]
    else:
        text = describe_text(error)
        places = [frame[:2] for frame in traceback.extract_tb(trace) if frame[0] == path]
    return one_line(_located(u'%s: %s' % (type(error).__name__, text), places))


def _located(text, places):
    if not places:
        return text
    if places[-1][1] is None:
        return '%s (%s)' % (text, places[-1][0])
    place = '(%s, line %d)' % places[-1]
    return text if place in text else '%s %s' % (text, place)


def _line(data, number):
    lines = data.decode('utf-8', 'replace').splitlines()
    return lines[number - 1].strip() if 0 < number <= len(lines) else None


def _steps(trace):
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _include_place(trace):
    """Where a missing file is included: Genshi's loop over a template's events has the include's."""
    for step in _steps(trace):
        if step.tb_frame.f_code.co_name == '_include':
            event = step.tb_frame.f_locals.get('event')
            if isinstance(event, tuple) and len(event) == 3:
                return event[2][:2]
    return None


def _cheetah_file(trace):
    """The file that Cheetah was to include when it failed to parse it; None where it parsed none."""
    files = [step.tb_frame.f_locals.get('path') for step in _steps(trace)
             if step.tb_frame.f_code.co_name == '_handleCheetahInclude']
    return files[-1] if files else None


def _cheetah_included(trace):
    """File and line of an error in a file that a Cheetah template includes; None where it is in the template itself."""
    for step in reversed(list(_steps(trace))):
        names = step.tb_frame.f_globals
        if '__CHEETAH_src__' not in names:
            continue
        if not names['__CHEETAH_src__']:
            return None
        module = getattr(step.tb_frame.f_locals.get('self'), 'generatedModuleCode', None)
        lines = module().splitlines() if module else []
        return names['__CHEETAH_src__'], _generated_from(lines, step.tb_lineno)
    return None


def _cheetah_line(render, frames):
    """The line of the template that generated the line of code that failed."""
    lines = render.generated_lines
    if not frames or not lines:
        return None
    number = min(frames[-1][1], len(lines))
    code = lines[number - 1].strip()
    text = render.source['data'].replace(b'$', b'')
    if code.startswith(_INCLUDING):
        return _including_line(text, [line.strip() for line in lines], number)
    if code and not _GENERATED.search(code):
        # An import or an assignment: the code is the directive's own, but for the signs of variables.
        directive = r'\s*'.join(re.escape(word) for word in code.split())
        found = _line_with(text, r'(?m)^[ \t]*#\s*(set\s+|silent\s+)?%s' % directive)
        if found:
            return found
    return _generated_from(lines, number)


_INCLUDING = 'self._handleCheetahInclude('


def _including_line(text, lines, number):
    """The line of the include whose code is line `number`; None where methods may be in another order than the text."""
    places = list(re.finditer(r'(?m)^[ \t]*#\s*include\b', text.decode('utf-8', 'replace')))
    codes = [index for index, line in enumerate(lines) if line.startswith(_INCLUDING)]
    if len(places) != len(codes) or (len(codes) > 1 and re.search(br'(?m)^[ \t]*#\s*(def|block|closure)\b', text)):
        return None
    return text.decode('utf-8', 'replace').count('\n', 0, places[codes.index(number - 1)].end()) + 1


def _generated_from(lines, number):
    """The template's line that Cheetah notes at a line of code, behind it, or at the last one before."""
    near = lines[number - 1:number + 1] + lines[:max(number - 1, 0)][::-1]
    for line in near:
        match = _GENERATED.search(line)
        if match:
            return int(match.group(1))
    return None
