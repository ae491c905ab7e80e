"""Files of the plugin Properties, as templates have them: `.xdata`, `.Match`, `.XMLMatch`, `.json`, `.yaml`, `.write`."""
import copy
import os

from bcfg2_renderer.values import PluginExecutionError, _yaml_module, xml_parser
from bcfg2_renderer.wire import PY2, Bytes, native


def property_for(metadata, connector, name):
    """The file of a name for a client: an element where automatch applies."""
    render = metadata._render
    source = render.session.property_source(render, metadata._scope, connector, name)
    file = _KINDS[source['kind']](render, source)
    if source['kind'] == 'xml' and source['matches']:
        return file.XMLMatch(metadata)
    return file


class PropertyFile(object):
    def __init__(self, render, source):
        self._render = render
        self._source = source
        self.name = source['path']

    @property
    def data(self):
        data = self._source['data']
        return data if PY2 else data.decode('utf-8', 'replace')

    def write(self):
        """Writes what the template made of the data back to the file. True where it is on disk."""
        session = self._render.session
        if not session.settings['writes_enabled']:
            raise PluginExecutionError('Properties files write-back is disabled in the configuration')
        self._render.trace.mark('writes ' + self.name)
        try:
            self._validate()
        except PluginExecutionError as error:
            self._fail('Cannot write %s: %s' % (self.name, error))
        try:
            self._render.ask(['write', self._source['connector'], self._source['name'], Bytes(self._bytes())])
        except PluginExecutionError as error:
            self._fail(str(error))
        return True

    def _fail(self, message):
        self._render.log('error', message)
        raise PluginExecutionError(message)


class JSONPropertyFile(PropertyFile):
    @property
    def json(self):
        if 'json' not in self.__dict__:
            import json
            self.__dict__['json'] = native(json.loads(self._source['data'].decode('utf-8')))
        return self.__dict__['json']

    def _validate(self):
        import json
        try:
            json.dumps(self.json)
        except TypeError as error:
            raise PluginExecutionError('Data for %s cannot be dumped to JSON: %s' % (self.name, error))

    def _bytes(self):
        import json
        return json.dumps(self.json).encode('utf-8')

    def __str__(self):
        return str(self.json)

    def __repr__(self):
        return repr(self.json)


class YAMLPropertyFile(PropertyFile):
    @property
    def yaml(self):
        if 'yaml' not in self.__dict__:
            yaml = _yaml_module()
            try:
                self.__dict__['yaml'] = yaml.safe_load(self._source['data'].decode('utf-8'))
            except yaml.YAMLError as error:
                raise PluginExecutionError('Could not load YAML data from %s: %s' % (self.name, error))
        return self.__dict__['yaml']

    def _validate(self):
        yaml = _yaml_module()
        try:
            yaml.dump(self.yaml)
        except yaml.YAMLError as error:
            raise PluginExecutionError('Data for %s cannot be dumped to YAML: %s' % (self.name, error))

    def _bytes(self):
        return _yaml_module().dump(self.yaml).encode('utf-8')

    def __str__(self):
        return str(self.yaml)

    def __repr__(self):
        return repr(self.yaml)


class XMLPropertyFile(PropertyFile):
    @property
    def xdata(self):
        """The root of the document; each rendering has a copy of its own."""
        if '_xdata' not in self.__dict__:
            self._xdata = copy.deepcopy(_parsed(self._source))
        return self._xdata

    @xdata.setter
    def xdata(self, root):
        self._xdata = root

    @property
    def entries(self):
        return self.xdata.getchildren()

    def _document(self, metadata):
        """The document to be matched: rendered where it is a template."""
        if not self._source['is_template']:
            return copy.deepcopy(self.xdata)
        import lxml.etree
        from bcfg2_renderer.engines import render_markup
        text = render_markup(self._render, self._source['path'], self._source, metadata)
        return lxml.etree.XML(text, parser=xml_parser())

    def Match(self, metadata):
        """The elements that apply to a client, in document order."""
        found = []
        for child in self._document(metadata):
            found.extend(_match(child, metadata))
        return found

    def XMLMatch(self, metadata):
        """The document as it applies to a client, without conditions."""
        root = self._document(metadata)
        for child in list(root):
            _xml_match(child, metadata)
        return root

    def _validate(self):
        schema = self.name.replace('.xml', '.xsd')
        if not os.path.exists(schema):
            return
        import lxml.etree
        try:
            schema = lxml.etree.XMLSchema(file=schema)
        except lxml.etree.XMLSchemaParseError as error:
            raise PluginExecutionError('Failed to process schema for %s: %s' % (self.name, error))
        if not schema.validate(self.xdata):
            raise PluginExecutionError(
                'Data for %s fails to validate; run bcfg2-lint for more details' % self.name)

    def _bytes(self):
        import lxml.etree
        return lxml.etree.tostring(self.xdata, xml_declaration=False, pretty_print=True)

    def __str__(self):
        return str(self.xdata)

    def __repr__(self):
        return repr(self.xdata)


def _parsed(source):
    if 'root' not in source:
        import lxml.etree
        source['root'] = lxml.etree.XML(source['data'], parser=xml_parser())
    return source['root']


_CONDITIONS = {
    'Group': lambda name, metadata: name in metadata.groups,
    'Client': lambda name, metadata: name == metadata.hostname,
}


def _is_element(node):
    return not callable(node.tag)


def _applies(element, metadata):
    test = _CONDITIONS.get(element.tag)
    if test is None:
        return True
    return (element.get('negate', 'false').lower() == 'true') != test(element.get('name'), metadata)


def _match(element, metadata):
    if not _is_element(element) or not _applies(element, metadata):
        return []
    if element.tag in _CONDITIONS:
        found = []
        for child in element:
            found.extend(_match(child, metadata))
        return found
    matched = copy.deepcopy(element)
    for child in list(matched):
        matched.remove(child)
    for child in element:
        matched.extend(_match(child, metadata))
    return [matched]


def _xml_match(element, metadata):
    parent = element.getparent()
    if not _is_element(element) or not _applies(element, metadata):
        parent.remove(element)
        return
    if element.tag not in _CONDITIONS:
        for child in list(element):
            _xml_match(child, metadata)
        return
    for child in list(element):
        element.remove(child)
        parent.append(child)
        _xml_match(child, metadata)
    if element.text:
        parent.text = (parent.text or '') + element.text
    parent.remove(element)


_KINDS = {'xml': XMLPropertyFile, 'json': JSONPropertyFile, 'yaml': YAMLPropertyFile}
