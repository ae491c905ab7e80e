import Glibc
package import PackageSources

/// Reads the downloaded files of one source into an `IndexBuilder`, part after part.
///
/// For each part: `IndexBuilder.beginPart`, then `read`. After the last part: `finish`, which reads the lists of files
/// of all yum parts, since a package of one part may require a path of another. Files are decompressed and parsed in
/// pieces, so memory holds the index and little more.
package struct IndexReader {
  private let limits: DecompressionLimits
  /// What is left to do for each yum part.
  private var fileLists: [(file: MetadataFile, records: ListedPackages)] = []
  private var richPaths: Set<TextID> = []

  package init(limits: DecompressionLimits = DecompressionLimits()) { self.limits = limits }

  /// Reads the files of the part that was begun last.
  package mutating func read(_ input: IndexInput, into builder: inout IndexBuilder) throws(FormatError) {
    switch input {
    case .debianPackages(let file):
      var parser = DebianPackagesParser(file: file.name)
      try forEachPiece(of: file) { bytes throws(FormatError) in try parser.write(bytes, into: &builder) }
      try parser.finish(into: &builder)
    case .pacman(let file):
      var parser = PacmanDatabase(file: file.name)
      try forEachPiece(of: file) { bytes throws(FormatError) in try parser.write(bytes, into: &builder) }
      try parser.finish(into: &builder)
    case .pkgng(let file):
      var parser = PackageSite(file: file.name)
      try forEachPiece(of: file) { bytes throws(FormatError) in try parser.write(bytes, into: &builder) }
      try parser.finish(into: &builder)
    case .yum(let files): try read(files, into: &builder)
    }
  }

  /// Ends the source, after its last part.
  package mutating func finish(into builder: inout IndexBuilder) throws(FormatError) {
    guard !fileLists.isEmpty else { return }
    let wanted = builder.requiredTexts { $0.first == UInt8(ascii: "/") }.union(richPaths)
    for (file, records) in fileLists where !wanted.isEmpty {
      try withPointer(to: &builder) { builder throws(FormatError) in
        let parser = try FilelistsParser(file: file.name, builder: builder, records: records, wanted: wanted)
        try read(file, with: parser)
      }
    }
    fileLists.removeAll()
  }

  private mutating func read(_ files: YumFiles, into builder: inout IndexBuilder) throws(FormatError) {
    var records = ListedPackages()
    try withPointer(to: &builder) { builder throws(FormatError) in
      let parser = try PrimaryParser(file: files.primary.name, builder: builder)
      try read(files.primary, with: parser)
      records = parser.records
      richPaths.formUnion(parser.richPaths)
      if let comps = files.comps {
        try read(comps, with: try CompsParser(file: comps.name, builder: builder))
      }
    }
    if let modules = files.modules {
      var parser = ModulesParser(file: modules.name)
      try forEachPiece(of: modules) { bytes throws(FormatError) in try parser.write(bytes) }
      try parser.finish(into: &builder)
    }
    fileLists.append((files.filelists ?? files.primary, records))
  }

  private func read(_ file: MetadataFile, with parser: XMLPushParser) throws(FormatError) {
    try forEachPiece(of: file) { bytes throws(FormatError) in try parser.write(bytes) }
    try parser.finish()
  }

  /// Gives a pointer to the builder for the time of the call, since libxml2 calls back through an object.
  private func withPointer(
    to builder: inout IndexBuilder, _ body: (UnsafeMutablePointer<IndexBuilder>) throws(FormatError) -> Void
  ) throws(FormatError) {
    let result = withUnsafeMutablePointer(to: &builder) { pointer in
      Result { () throws(FormatError) in try body(pointer) }
    }
    try result.get()
  }

  // MARK: Files

  /// Bytes that are read at once.
  private static let pieceBytes = 128 << 10

  /// Reads and decompresses a file, and gives it in pieces.
  private func forEachPiece(
    of file: MetadataFile, _ body: (UnsafeRawBufferPointer) throws(FormatError) -> Void
  ) throws(FormatError) {
    let descriptor = open(file.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw Self.error(file, "open", errno) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Self.error(file, "fstat", errno) }
    guard status.st_mode & S_IFMT == S_IFREG else { throw FormatError(file: file.name, "is no regular file") }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pieceBytes, alignment: 16)
    defer { buffer.deallocate() }
    var decompressor = Decompressor(name: file.name, limits: limits, acceptsPlain: file.acceptsPlain)
    while true {
      let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      if count < 0 {
        let code = errno
        if code == EINTR { continue }
        throw Self.error(file, "read", code)
      }
      if count == 0 { break }
      try decompressor.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]), to: body)
    }
    try decompressor.finish(to: body)
  }

  private static func error(_ file: MetadataFile, _ call: StaticString, _ code: CInt) -> FormatError {
    FormatError(file: file.name, "\(call) of \(file.path): \(String(cString: strerror(code)))")
  }
}
