import CYAML
import Glibc
import PackageSources

/// Reads modules.yaml of a yum repository: which packages belong to a module's stream that is not a default one, and
/// so do not exist for a client that enables no stream.
///
/// Format: fedora-modularity/libmodulemd: yaml_specs/modulemd_stream_v2.yaml and modulemd_defaults_v1.yaml. The file is
/// a row of YAML documents; each is read when it is complete. Aliases are not followed.
struct ModulesParser {
  private let file: String
  private var lines: LineSplitter
  private var document: [UInt8] = []
  private var documentLine = 1
  private var streams: [Stream] = []
  /// The default stream of each module.
  private var defaults: [[UInt8]: [UInt8]] = [:]
  private var artifacts = 0

  private struct Stream {
    var module: [UInt8] = []
    var stream: [UInt8] = []
    /// As `name-epoch:version-release.arch`.
    var artifacts: [[UInt8]] = []
  }

  /// Most bytes of one document: the largest of RHEL have 200 kB.
  private static let documentLimit = 16 << 20
  /// Most artifacts of all documents.
  private static let artifactLimit = 1_000_000
  private static let depthLimit = 32

  init(file: String) {
    self.file = file
    lines = LineSplitter(file: file)
  }

  mutating func write(_ bytes: UnsafeRawBufferPointer) throws(FormatError) {
    var lines = self.lines
    defer { self.lines = lines }
    try lines.write(bytes) { line, number throws(FormatError) in try read(line, number: number) }
  }

  /// Ends the file, and hides packages of the part that was begun last.
  mutating func finish(into builder: inout IndexBuilder) throws(FormatError) {
    var lines = self.lines
    try lines.finish { line, number throws(FormatError) in try read(line, number: number) }
    self.lines = lines
    try endDocument()
    hidePackages(in: &builder)
  }

  private mutating func read(_ line: ByteText, number: Int) throws(FormatError) {
    if line.starts(with: "---") {
      try endDocument()
      documentLine = number
    }
    guard document.count + line.count < Self.documentLimit else {
      throw FormatError(
        file: file, line: number, "a document has more than \(mebibytes(Self.documentLimit)), the limit")
    }
    document += line
    document.append(0x0A)
  }

  private mutating func endDocument() throws(FormatError) {
    guard !document.isEmpty else { return }
    var reader = DocumentReader(file: file, line: documentLine)
    try withBytes(of: document) { text throws(FormatError) in try reader.read(text) }
    document.removeAll(keepingCapacity: true)
    switch reader.kind {
    case Array("modulemd".utf8):
      artifacts += reader.artifacts.count
      guard artifacts <= Self.artifactLimit else {
        throw FormatError(
          file: file, line: documentLine, "more than \(Self.artifactLimit) packages of modules, the limit")
      }
      streams.append(Stream(module: reader.name, stream: reader.stream, artifacts: reader.artifacts))
    case Array("modulemd-defaults".utf8): defaults[reader.module] = reader.stream
    default: break
    }
  }

  /// A package that some default stream has is there, whatever other streams have.
  private func hidePackages(in builder: inout IndexBuilder) {
    var isShown: [[UInt8]: Bool] = [:]
    for stream in streams {
      let isDefault = defaults[stream.module] == stream.stream
      for artifact in stream.artifacts { isShown[artifact] = isDefault || isShown[artifact] ?? false }
    }
    guard !isShown.isEmpty else { return }
    var text: [UInt8] = []
    for number in builder.recordsOfLastPart {
      let (name, version, arch) = builder.record(RecordID(number))
      text.removeAll(keepingCapacity: true)
      builder.withText(name) { text += $0 }
      text.append(UInt8(ascii: "-"))
      builder.withText(version) { text += $0 }
      text.append(UInt8(ascii: "."))
      builder.withText(arch) { text += $0 }
      if isShown[text] == false { builder.setFlags(.isHidden, of: RecordID(number)) }
    }
  }

  /// Reads one document, event by event.
  private struct DocumentReader {
    private(set) var kind: [UInt8] = []
    private(set) var name: [UInt8] = []
    private(set) var module: [UInt8] = []
    private(set) var stream: [UInt8] = []
    private(set) var artifacts: [[UInt8]] = []

    private let file: String
    private let line: Int
    /// The collections that are open.
    private var open: [Level] = []

    private struct Level {
      var isMapping: Bool
      /// The key whose value comes next; nil: a key comes next.
      var key: [UInt8]?
    }

    init(file: String, line: Int) {
      self.file = file
      self.line = line
    }

    mutating func read(_ text: ByteText) throws(FormatError) {
      let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
      defer { parser.deallocate() }
      guard yaml_parser_initialize(parser) == 1 else { throw FormatError(file: file, "no memory for a YAML parser") }
      defer { yaml_parser_delete(parser) }
      yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
      yaml_parser_set_input_string(parser, text.baseAddress, text.count)
      while true {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else {
          let problem = parser.pointee.problem.map { String(cString: $0) } ?? "damaged"
          throw FormatError(file: file, line: line + Int(parser.pointee.problem_mark.line), "is no YAML: \(problem)")
        }
        defer { yaml_event_delete(&event) }
        if event.type == YAML_STREAM_END_EVENT { return }
        try handle(event)
      }
    }

    private mutating func handle(_ event: yaml_event_t) throws(FormatError) {
      switch event.type {
      case YAML_MAPPING_START_EVENT: try begin(isMapping: true, event)
      case YAML_SEQUENCE_START_EVENT: try begin(isMapping: false, event)
      case YAML_MAPPING_END_EVENT, YAML_SEQUENCE_END_EVENT:
        open.removeLast()
        endValue()
      case YAML_ALIAS_EVENT: scalar([])
      case YAML_SCALAR_EVENT:
        let value = event.data.scalar
        scalar(Array(UnsafeBufferPointer(start: value.value, count: value.length)))
      default: break
      }
    }

    private mutating func begin(isMapping: Bool, _ event: yaml_event_t) throws(FormatError) {
      guard open.count < ModulesParser.depthLimit else {
        throw FormatError(
          file: file, line: line + Int(event.start_mark.line),
          "more than \(ModulesParser.depthLimit) nested collections, the limit")
      }
      // A collection as a key names nothing that counts.
      if open.last?.isMapping == true, open.last?.key == nil { open[open.count - 1].key = [] }
      open.append(Level(isMapping: isMapping))
    }

    /// After the value of a key comes another key.
    private mutating func endValue() {
      if open.last?.isMapping == true { open[open.count - 1].key = nil }
    }

    private mutating func scalar(_ value: [UInt8]) {
      guard let last = open.last else { return }
      if last.isMapping, last.key == nil {
        open[open.count - 1].key = value
        return
      }
      defer { endValue() }
      if isAt(["document"]) { kind = value }
      if isAt(["data", "name"]) { name = value }
      if isAt(["data", "module"]) { module = value }
      if isAt(["data", "stream"]) { stream = value }
      if open.count == 4, !last.isMapping, isAt(["data", "artifacts", "rpms"]) { artifacts.append(value) }
    }

    /// Whether the keys of the open mappings are these, and all but the innermost collection are mappings.
    private func isAt(_ path: [StaticString]) -> Bool {
      let mappings = open.last?.isMapping == false ? open.dropLast() : open[...]
      guard mappings.count == path.count else { return false }
      return zip(mappings, path).allSatisfy { level, name in
        guard let key = level.key else { return false }
        return level.isMapping && key.withUnsafeBufferPointer { $0.equals(name) }
      }
    }
  }
}
