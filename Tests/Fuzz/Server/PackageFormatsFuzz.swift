@testable import PackageFormats
@testable import PackageSources

// Each target reads the bytes whole and in pieces, and expects the same index, or an error both times. The first byte is
// the size of the pieces.

/// Reads the bytes as Packages of Debian.
nonisolated func fuzzDebianPackages(_ bytes: [UInt8]) {
  checkPieces(bytes) { text, pieces, builder in
    var parser = DebianPackagesParser(file: "f")
    try forEachPiece(of: text, size: pieces) { piece throws(FormatError) in try parser.write(piece, into: &builder) }
    try parser.finish(into: &builder)
  }
}

/// Reads the bytes as a Release file, or as repomd.xml.
nonisolated func fuzzRelease(_ bytes: [UInt8]) {
  if let release = try? ReleaseFile(bytes: bytes, name: "f") {
    for entry in release.entries.values {
      precondition(entry.size >= 0 && entry.sha256?.count ?? 32 == 32 && entry.sha512?.count ?? 64 == 64)
    }
  }
  if let repomd = try? RepomdFile(bytes: bytes, name: "f") {
    for entry in repomd.entries { precondition(!entry.type.isEmpty && !entry.href.isEmpty && entry.size ?? 0 >= 0) }
  }
}

/// Reads the bytes as primary.xml, then again as its own list of files.
nonisolated func fuzzYumPrimary(_ bytes: [UInt8]) {
  checkPieces(bytes) { text, pieces, builder in
    try withParsers(of: &builder) { pointer throws(FormatError) in
      let primary = try PrimaryParser(file: "f", builder: pointer)
      try feed(text, pieces, primary)
      let wanted = pointer.pointee.requiredTexts { $0.first == UInt8(ascii: "/") }.union(primary.richPaths)
      try feed(
        text, pieces,
        try FilelistsParser(file: "f", builder: pointer, records: primary.records, wanted: wanted))
    }
  }
}

/// Reads the bytes as comps.xml.
nonisolated func fuzzYumComps(_ bytes: [UInt8]) {
  checkPieces(bytes) { text, pieces, builder in
    try withParsers(of: &builder) { pointer throws(FormatError) in
      try feed(text, pieces, try CompsParser(file: "f", builder: pointer))
    }
  }
}

/// Reads the bytes as modules.yaml.
nonisolated func fuzzYumModules(_ bytes: [UInt8]) {
  checkPieces(bytes) { text, pieces, builder in
    var parser = ModulesParser(file: "f")
    try forEachPiece(of: text, size: pieces) { piece throws(FormatError) in try parser.write(piece) }
    try parser.finish(into: &builder)
  }
}

/// Reads the bytes as a database of pacman.
nonisolated func fuzzPacman(_ bytes: [UInt8]) {
  checkPieces(bytes) { text, pieces, builder in
    var parser = PacmanDatabase(file: "f")
    try forEachPiece(of: text, size: pieces) { piece throws(FormatError) in try parser.write(piece, into: &builder) }
    try parser.finish(into: &builder)
  }
}

/// Reads the bytes as a catalogue of FreeBSD.
nonisolated func fuzzPackageSite(_ bytes: [UInt8]) {
  checkPieces(bytes) { text, pieces, builder in
    var parser = PackageSite(file: "f")
    try forEachPiece(of: text, size: pieces) { piece throws(FormatError) in try parser.write(piece, into: &builder) }
    try parser.finish(into: &builder)
  }
}

/// Decompresses the bytes within small limits.
nonisolated func fuzzDecompressor(_ bytes: [UInt8]) {
  var limits = DecompressionLimits()
  limits.outputBytes = 4 << 20
  limits.ratioFreeBytes = 1 << 20
  limits.memoryBytes = 8 << 20
  func output(_ text: [UInt8], pieces: Int) -> [UInt8]? {
    var output: [UInt8] = []
    var decompressor = Decompressor(name: "f", limits: limits)
    do throws(FormatError) {
      try forEachPiece(of: text, size: pieces) { piece throws(FormatError) in
        try decompressor.write(piece) { output += $0 }
      }
      try decompressor.finish { output += $0 }
    } catch {
      return nil
    }
    precondition(output.count <= limits.outputBytes)
    return output
  }
  let text = Array(bytes.dropFirst())
  let whole = output(text, pieces: .max)
  let inPieces = output(text, pieces: Int(bytes.first ?? 0) + 1)
  precondition(whole == inPieces, "read otherwise in pieces")
}

/// Fills an index from the bytes in two ways, and compares.
private nonisolated func checkPieces(
  _ bytes: [UInt8], _ fill: ([UInt8], Int, inout IndexBuilder) throws -> Void
) {
  let text = Array(bytes.dropFirst())
  func result(pieces: Int) -> [UInt8]? {
    do {
      var builder = try IndexBuilder(key: [])
      builder.beginPart(component: .none, arch: .none)
      try fill(text, pieces, &builder)
      return try builder.finish(time: 0)
    } catch is FormatError {
      return nil
    } catch {
      preconditionFailure("no index can be made: \(error)")
    }
  }
  let whole = result(pieces: .max)
  let inPieces = result(pieces: Int(bytes.first ?? 0) + 1)
  // libxml2 2.9 takes the first > of a document type for its end, if no later one has arrived.
  let hasDocumentType = String(decoding: text, as: UTF8.self).contains("<!DOCTYPE")
  precondition(whole == inPieces || hasDocumentType && inPieces == nil, "read otherwise in pieces")
  guard let whole else { return }
  do {
    let index = try PackageIndex(bytes: whole)
    precondition(index.isIntact() && index.partCount == 1)
  } catch {
    preconditionFailure("the index cannot be opened: \(error)")
  }
}

/// Cuts bytes into pieces, each in memory of its own, so that address sanitizer sees what reads beyond one.
private nonisolated func forEachPiece(
  of bytes: [UInt8], size: Int, _ body: (UnsafeRawBufferPointer) throws(FormatError) -> Void
) throws(FormatError) {
  var rest = bytes[...]
  while !rest.isEmpty {
    let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: min(size, rest.count), alignment: 1)
    defer { piece.deallocate() }
    piece.copyBytes(from: rest.prefix(piece.count))
    rest = rest.dropFirst(piece.count)
    try body(UnsafeRawBufferPointer(piece))
  }
}

private nonisolated func feed(_ text: [UInt8], _ pieces: Int, _ parser: XMLPushParser) throws(FormatError) {
  try forEachPiece(of: text, size: pieces) { piece throws(FormatError) in try parser.write(piece) }
  try parser.finish()
}

private nonisolated func withParsers(
  of builder: inout IndexBuilder, _ body: (UnsafeMutablePointer<IndexBuilder>) throws(FormatError) -> Void
) throws(FormatError) {
  let result = withUnsafeMutablePointer(to: &builder) { pointer in
    Result { () throws(FormatError) in try body(pointer) }
  }
  try result.get()
}
