import PackageSources

/// Reads the catalogue of a FreeBSD repository, packagesite.txz or packagesite.pkg, into an index, as it arrives: a tar
/// archive whose member packagesite.yaml has one JSON object on each line.
///
/// Format: freebsd/pkg: docs/pkg-repository.5, libpkg/pkg_manifest.c.
struct PackageSite {
  private let file: String
  private var tar: TarReader
  private var lines: LineSplitter
  private var isReading = false
  private var isFound = false
  private var record = Record()

  /// What counts of one package.
  private struct Record {
    var name: [UInt8] = []
    var version: [UInt8] = []
    var arch: [UInt8] = []
    var depends: [[UInt8]] = []
    var provides: [[UInt8]] = []
  }

  init(file: String) {
    self.file = file
    tar = TarReader(file: file)
    lines = LineSplitter(file: file)
  }

  mutating func write(_ bytes: UnsafeRawBufferPointer, into builder: inout IndexBuilder) throws(FormatError) {
    var tar = self.tar
    defer { self.tar = tar }
    try tar.write(bytes) { event throws(FormatError) in try handle(event, &builder) }
  }

  mutating func finish(into builder: inout IndexBuilder) throws(FormatError) {
    try tar.finish()
    guard isFound else { throw FormatError(file: file, "the archive has no packagesite.yaml") }
  }

  private mutating func handle(_ event: TarReader.Event, _ builder: inout IndexBuilder) throws(FormatError) {
    switch event {
    case .file(let name, _):
      isReading = name.equals("packagesite.yaml")
      guard isReading else { return }
      guard !isFound else { throw FormatError(file: file, "the archive has packagesite.yaml twice") }
      isFound = true
    case .bytes(let bytes):
      guard isReading else { return }
      var lines = self.lines
      defer { self.lines = lines }
      try lines.write(bytes) { line, number throws(FormatError) in try read(line, number: number, &builder) }
    case .end:
      guard isReading else { return }
      var lines = self.lines
      try lines.finish { line, number throws(FormatError) in try read(line, number: number, &builder) }
      self.lines = lines
      isReading = false
    }
  }

  private mutating func read(_ line: ByteText, number: Int, _ builder: inout IndexBuilder) throws(FormatError) {
    guard !line.trimmed.isEmpty else { return }
    record = Record()
    do throws(JSONSkimmer.Failure) {
      var reader = JSONSkimmer(line)
      try reader.object { name, reader throws(JSONSkimmer.Failure) in try readMember(name, &reader) }
      try reader.finish()
    } catch {
      throw FormatError(file: file, line: number, "is no JSON: \(error.message) (at character \(error.offset + 1))")
    }
    guard !record.name.isEmpty else { throw FormatError(file: file, line: number, "a package has no name") }
    try add(&builder)
  }

  private mutating func readMember(_ name: ByteText, _ reader: inout JSONSkimmer) throws(JSONSkimmer.Failure) {
    let next = reader.peek()
    if name.equals("name"), next == UInt8(ascii: "\"") {
      try reader.string(into: &record.name)
    } else if name.equals("version"), next == UInt8(ascii: "\"") {
      try reader.string(into: &record.version)
    } else if name.equals("abi"), next == UInt8(ascii: "\"") {
      try reader.string(into: &record.arch)
    } else if name.equals("deps"), next == UInt8(ascii: "{") {
      // The names are the keys; each value has the origin and the version that the package was built with.
      record.depends.removeAll()
      try reader.object { name, reader throws(JSONSkimmer.Failure) in
        record.depends.append(name.array)
        try reader.skipValue()
      }
    } else if name.equals("provides"), next == UInt8(ascii: "[") {
      record.provides.removeAll()
      try reader.array { reader throws(JSONSkimmer.Failure) in
        guard reader.peek() == UInt8(ascii: "\"") else { return try reader.skipValue() }
        var provide: [UInt8] = []
        try reader.string(into: &provide)
        record.provides.append(provide)
      }
    } else {
      try reader.skipValue()
    }
  }

  private func add(_ builder: inout IndexBuilder) throws(FormatError) {
    try builder.add(of: file) { builder throws(IndexBuildError) in
      let name = try builder.text(record.name)
      let version = try builder.text(record.version)
      let arch = try builder.text(record.arch)
      _ = try builder.beginRecord(name: name, version: version, arch: arch)
      for depends in record.depends { try builder.addRelation(.depends, name: try builder.text(depends)) }
      for provide in record.provides { try builder.addProvide(name: try builder.text(provide)) }
    }
  }
}
