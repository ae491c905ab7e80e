"""Compiles the Python code of Genshi templates under Python 3, in place of Genshi's own code generator.

Genshi writes a changed syntax tree out as source, which up to 0.7.12 fails for `except X as e`, and does not know newer
syntax. Here the tree itself is compiled: every construct of the Python in use works, and lines are those of the template.
What is changed in the tree is what Genshi changes: names that are not local are looked up in the template's context, and
in expressions attributes and items may stand for each other.
"""
import ast
import builtins
from keyword import iskeyword

from types import CodeType, FunctionType

from bcfg2_renderer.division import Divisions


class _Bound(ast.NodeVisitor):
    """Names that a function's or class's body binds, without those of functions and classes within."""

    def __init__(self):
        self.names = set()

    def visit_Name(self, node):
        if isinstance(node.ctx, ast.Store):
            self.names.add(node.id)

    def _definition(self, node):
        self.names.add(node.name)

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _definition

    def visit_Lambda(self, node):
        pass

    def _comprehension(self, node):
        # Its targets are its own; what := binds in it is the function's.
        for inner in ast.walk(node):
            if isinstance(inner, ast.NamedExpr):
                self.names.add(inner.target.id)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def visit_alias(self, node):
        self.names.add((node.asname or node.name).split('.')[0])

    def visit_ExceptHandler(self, node):
        if node.name:
            self.names.add(node.name)
        self.generic_visit(node)

    def visit_MatchAs(self, node):
        if node.name:
            self.names.add(node.name)
        self.generic_visit(node)

    def visit_MatchStar(self, node):
        if node.name:
            self.names.add(node.name)

    def visit_MatchMapping(self, node):
        if node.rest:
            self.names.add(node.rest)
        self.generic_visit(node)


def _bound(nodes):
    visitor = _Bound()
    for node in nodes:
        visitor.visit(node)
    return visitor.names


def _arguments(arguments):
    every = arguments.posonlyargs + arguments.args + arguments.kwonlyargs
    names = set(argument.arg for argument in every)
    for argument in (arguments.vararg, arguments.kwarg):
        if argument is not None:
            names.add(argument.arg)
    return names


def _call(name, arguments):
    return ast.Call(func=ast.Name(id=name, ctx=ast.Load()), args=arguments, keywords=[])


# What every template has, and may have under another value: a block finds it as Python does, in the context first.
_EVERYWHERE = frozenset(dir(builtins)) | frozenset(('metadata', 'repo'))
_BINDING = (ast.Import, ast.ImportFrom, ast.Assign, ast.FunctionDef, ast.ClassDef)


class SuiteNames(ast.NodeTransformer):
    """Turns names that are nowhere bound in the code around them into look-ups."""

    def __init__(self):
        # (names, is a class): what a class binds is not seen by its functions.
        self.scopes = [(frozenset(('False', 'True', 'None', 'NotImplemented', 'Ellipsis')), False)]
        # Names that are there wherever the block itself, no function of it, comes to: they need no look-up.
        self.bound = set()

    def visit_Module(self, node):
        deletes = any(isinstance(item, ast.Delete) or isinstance(item, ast.ExceptHandler) and item.name
                      for item in ast.walk(node))
        if deletes:
            return self.generic_visit(node)
        self.bound = set(_EVERYWHERE)
        for position, statement in enumerate(node.body):
            node.body[position] = self.visit(statement)
            if isinstance(statement, _BINDING):
                self.bound |= _bound([statement])
        return node

    def _is_local(self, name):
        if len(self.scopes) == 1 and name in self.bound:
            return True
        for position, (names, is_class) in enumerate(self.scopes):
            if name in names and not (is_class and position < len(self.scopes) - 1):
                return True
        return False

    def _within(self, names, nodes, is_class=False):
        self.scopes.append((names, is_class))
        try:
            return [self.visit(node) for node in nodes]
        finally:
            self.scopes.pop()

    def visit_Name(self, node):
        if not isinstance(node.ctx, ast.Load) or self._is_local(node.id):
            return node
        found = _call('_lookup_name', [ast.Name(id='__data__', ctx=ast.Load()), ast.Constant(value=node.id)])
        return ast.copy_location(found, node)

    def _function(self, node):
        node.decorator_list = [self.visit(item) for item in node.decorator_list]
        self._outer_arguments(node.args)
        if node.returns is not None:
            node.returns = self.visit(node.returns)
        node.body = self._within(_arguments(node.args) | _bound(node.body), node.body)
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = _function

    def _outer_arguments(self, arguments):
        arguments.defaults = [self.visit(item) for item in arguments.defaults]
        arguments.kw_defaults = [item and self.visit(item) for item in arguments.kw_defaults]
        for argument in arguments.posonlyargs + arguments.args + arguments.kwonlyargs:
            if argument.annotation is not None:
                argument.annotation = self.visit(argument.annotation)

    def visit_Lambda(self, node):
        self._outer_arguments(node.args)
        node.body, = self._within(_arguments(node.args), [node.body])
        return node

    def visit_ClassDef(self, node):
        node.decorator_list = [self.visit(item) for item in node.decorator_list]
        node.bases = [self.visit(item) for item in node.bases]
        node.keywords = [self.visit(item) for item in node.keywords]
        node.body = self._within(_bound(node.body), node.body, is_class=True)
        return node

    def _comprehension(self, node):
        # The first iterable is evaluated outside.
        node.generators[0].iter = self.visit(node.generators[0].iter)
        names = set()
        for generator in node.generators:
            names |= _bound([generator.target])
        self.scopes.append((names, False))
        try:
            for position, generator in enumerate(node.generators):
                if position:
                    generator.iter = self.visit(generator.iter)
                generator.target = self.visit(generator.target)
                generator.ifs = [self.visit(item) for item in generator.ifs]
            for field in ('elt', 'key', 'value'):
                if hasattr(node, field):
                    setattr(node, field, self.visit(getattr(node, field)))
        finally:
            self.scopes.pop()
        return node

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension


class ExpressionNames(SuiteNames):
    """The same for expressions, in which `a.b` and `a['b']` stand for each other where one of them fails."""

    def visit_Attribute(self, node):
        node.value = self.visit(node.value)
        if not isinstance(node.ctx, ast.Load):
            return node
        return ast.copy_location(_call('_lookup_attr', [node.value, ast.Constant(value=node.attr)]), node)

    def visit_Subscript(self, node):
        node.value = self.visit(node.value)
        node.slice = self.visit(node.slice)
        if not isinstance(node.ctx, ast.Load) or any(isinstance(item, ast.Slice) for item in ast.walk(node.slice)):
            return node
        key = ast.Tuple(elts=[node.slice], ctx=ast.Load())
        return ast.copy_location(_call('_lookup_item', [node.value, key]), node)


class Lines(object):
    """Where the code of the template that is being parsed stands, which Genshi does not know of code behind text."""
    text = None
    modes = ()
    cursor = 0

    @classmethod
    def begin(cls, text, is_markup):
        # Of markup the line of each expression is known; that of a block is the line behind its beginning.
        cls.text, cls.cursor = text, 0
        cls.modes = ('exec',) if is_markup else ('exec', 'eval')

    @classmethod
    def end(cls):
        cls.text = None

    @classmethod
    def of(cls, source, mode, counted):
        """The line of a source; `counted` where it is not found."""
        if not cls.text or not source or mode not in cls.modes:
            return counted
        # An expression is found behind its sign first, not within a word of the text.
        for sought in ('${' + source, '$' + source, source) if mode == 'eval' else (source,):
            place = cls.text.find(sought, cls.cursor)
            if place >= 0:
                cls.cursor = place
                return cls.text.count('\n', 0, place) + 1
        return counted


# Codes by source and mode, compiled as if they stood at line 1 of no file: sites repeat themselves.
_COMPILED = {}
_COMPILED_LIMIT = 1000
_COMPILED_CHARACTERS = 1000


def _compile(node, source=None, mode='eval', filename=None, lineno=-1, xform=None):
    filename = filename or '<string>'
    if isinstance(filename, bytes):
        filename = filename.decode('utf-8', 'replace')
    offset = max(Lines.of((source or '?').strip(), mode, max(lineno, 1)), 1) - 1
    # Genshi's word for the source of what it has parsed itself.
    has_source = source and source != '?'
    code = _COMPILED.get((source, mode)) if has_source else None
    if code is None:
        try:
            code = _compiled(node, mode)
        except SyntaxError as error:
            error.template_line = (error.lineno or 1) + offset
            raise
        if has_source and len(source) <= _COMPILED_CHARACTERS:
            if len(_COMPILED) >= _COMPILED_LIMIT:
                _COMPILED.clear()
            _COMPILED[source, mode] = code
    source = source or '?'
    if mode == 'eval':
        name = '<Expression %r>' % source
    else:
        lines = source.splitlines() or ['']
        name = '<Suite %r>' % (lines[0] + (' ...' if len(lines) > 1 else ''))
    return _placed(code, filename, offset, name, name if mode == 'eval' else None)


def _compiled(node, mode):
    names = (ExpressionNames if mode == 'eval' else SuiteNames)()
    # Divisions last: the name of what they call is nobody's variable.
    tree = Divisions().visit(names.visit(node))
    if mode == 'eval':
        tree = _as_function(tree)
    return compile(ast.fix_missing_locations(tree), '<string>', mode)


def _placed(code, filename, offset, name, inner):
    """A code where it stands; name and inner: its name, and that of functions in it, where they get one."""
    consts = tuple(_placed(item, filename, offset, inner, None) if isinstance(item, CodeType) else item
                   for item in code.co_consts)
    return code.replace(
        co_filename=filename, co_firstlineno=code.co_firstlineno + offset, co_consts=consts, co_name=name or code.co_name)


def _as_function(expression):
    """The call of a function of the context: others call it themselves, which costs less than eval()."""
    data = ast.arguments(
        posonlyargs=[], args=[ast.arg(arg='__data__')], vararg=None, kwonlyargs=[], kw_defaults=[], kwarg=None,
        defaults=[])
    function = ast.Lambda(args=data, body=expression.body)
    return ast.copy_location(ast.Expression(
        body=ast.Call(func=function, args=[ast.Name(id='__data__', ctx=ast.Load())], keywords=[])), expression.body)


def function_of(expression, names):
    """What an expression gives, as a function of the context; names: its globals."""
    inner, = [item for item in expression.code.co_consts if isinstance(item, CodeType)]
    return FunctionType(inner, names)


def name_of(expression):
    """The name where an expression is nothing else; None else."""
    source = expression.source.strip()
    return source if source.isidentifier() and not iskeyword(source) else None


def _locating(parse):
    known = ast.Module(body=[], type_ignores=[])

    def located(source, mode='eval'):
        if (source, mode) in _COMPILED:
            # `_compile`, to which this goes, has its code.
            return known
        try:
            return parse(source, mode)
        except SyntaxError as error:
            # Genshi adds the error's line to its own count, which is that of the code's end.
            start = Lines.of(source.strip(), mode, 0)
            error.template_line = start + (error.lineno or 1) - 1 if start else None
            raise
    return located


def mend(module):
    """Puts the compiler into genshi.template.eval, and has its parser say where in the template an error is."""
    module._compile = _compile
    module._parse = _locating(module._parse)
