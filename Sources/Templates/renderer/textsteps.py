"""Text templates of Genshi under Python 3, event by event with what each needs prepared: a template is rendered often.

What is prepared is what most templates consist of: text, expressions, `for`, `if` and blocks of Python. Everything else is
done as `textoutput` does it.
"""
import builtins

from bcfg2_renderer.genshicode import function_of, name_of
from bcfg2_renderer.textoutput import _PIECES, Pieces, TextOutput, has_usual_filters, joined

# Kinds of steps, with what belongs to each.
TEXT, VALUE, NAME, FOR, IF, CODE, EVENT = range(7)


class TextSteps(TextOutput):
    """Renders text templates; made once."""

    def __init__(self):
        from genshi.template.directives import ForDirective, IfDirective
        from genshi.template.eval import BUILTINS
        TextOutput.__init__(self)
        self.loop, self.condition, self.builtins = ForDirective, IfDirective, BUILTINS
        # By lookup class: the globals of expressions.
        self.globals = {}

    def of(self, template, variables, limit):
        steps = self.steps_of(template)
        if steps is None:
            return joined(template.generate(**variables).serialize('text'), limit)
        output = Pieces(limit)
        self.do(template, steps, self.context(**variables), output)
        return output.end()

    def whole(self, template, context, output):
        steps = self.steps_of(template)
        if steps is None:
            return TextOutput.whole(self, template, context, output)
        self.do(template, steps, context, output)

    # Preparing

    def steps_of(self, template):
        """The steps of a template; None where Genshi's own way is to be taken."""
        try:
            return template.bcfg2_steps
        except AttributeError:
            steps = self.prepared(template.stream) if has_usual_filters(template) else None
            template.bcfg2_steps = steps
            return steps

    def prepared(self, events):
        return [self.step(event) for event in events]

    def step(self, event):
        kind, data, _ = event
        kinds = self.kinds
        if kind is kinds[0]:
            return TEXT, str(data)
        if kind is kinds[1]:
            value = self.function(data)
            name = name_of(data)
            return (VALUE, value) if name is None else (NAME, (name, value))
        if kind is kinds[2] and len(data[0]) == 1:
            directive, inner = data[0][0], data[1]
            if type(directive) is self.loop:
                names, = directive.assign.__defaults__
                return FOR, (self.function(directive.expr), names if type(names) is str else None, directive.assign,
                             self.prepared(inner))
            if type(directive) is self.condition and directive.expr is not None:
                return IF, (self.function(directive.expr), self.prepared(inner))
        if kind is kinds[3] and not self.deletes(data):
            return CODE, (data, self.globals_of(data))
        return EVENT, event

    def function(self, expression):
        return function_of(expression, self.globals_of(expression))

    def globals_of(self, code):
        """What the names in an expression or a block are looked up by: as Genshi has it, with shorter ways to what is
        there."""
        lookup = code._globals.__self__
        found = self.globals.get(lookup)
        if found is None:
            found = self.globals[lookup] = lookup.globals(None)
            del found['__data__']
            # As eval() puts it there: C code imports by it.
            found['__builtins__'] = builtins
            found['_lookup_name'] = self.name_lookup(lookup.lookup_name)
            found['_lookup_attr'] = attribute_lookup(lookup)
        return found

    def name_lookup(self, missing):
        context, known = self.context, self.builtins

        def lookup_name(data, name):
            if type(data) is context:
                for frame in data.frames:
                    if name in frame:
                        return frame[name]
                if name in known:
                    return known[name]
            return missing(data, name)
        return lookup_name

    # Doing

    def do(self, template, steps, context, output):
        append = output.append
        for kind, data in steps:
            if kind == TEXT:
                append(data)
            elif kind == NAME:
                name, value = data
                for frame in context.frames:
                    if name in frame:
                        result = frame[name]
                        break
                else:
                    result = value(context)
                if type(result) is str:
                    append(result)
                else:
                    self.other(template, result, context, output)
            elif kind == VALUE:
                result = data(context)
                if type(result) is str:
                    append(result)
                else:
                    self.other(template, result, context, output)
            elif kind == FOR:
                self.repeat(template, data, context, output)
            elif kind == IF:
                value, inner = data
                if value(context):
                    self.do(template, inner, context, output)
            elif kind == CODE:
                suite, names = data
                if len(context.frames) == 1:
                    # Reads of names come here by way of their lookup: a dictionary in place of the context spares each of
                    # them a search for that lookup's own name.
                    names = dict(names)
                    names['__data__'] = context
                    exec(suite.code, names, context.frames[0])
                else:
                    self.exec_suite(suite, context, {})
            else:
                self.run(template, [data], context, output)
        if len(output.pieces) > _PIECES:
            output.join()

    def repeat(self, template, loop, context, output):
        value, name, assign, inner = loop
        items = value(context)
        if items is None:
            return
        scope = {}
        push, pop = context.push, context.pop
        for item in items:
            if name is not None:
                scope[name] = item
            else:
                assign(scope, item)
            push(scope)
            self.do(template, inner, context, output)
            pop()

    def other(self, template, result, context, output):
        """What an expression gives where it is no plain text."""
        if result is None:
            return
        if isinstance(result, str):
            output.append(str(result))
        elif isinstance(result, self.numbers):
            output.append(str(template._number_conv(result)))
        elif hasattr(result, '__iter__'):
            self.run(template, self.ensure(result), context, output)
        else:
            output.append(str(result))


def attribute_lookup(lookup):
    def lookup_attr(owner, name):
        try:
            return getattr(owner, name)
        except AttributeError:
            if hasattr(owner.__class__, name):
                raise
            try:
                return owner[name]
            except (KeyError, TypeError):
                return lookup.undefined(name, owner=owner)
    return lookup_attr
