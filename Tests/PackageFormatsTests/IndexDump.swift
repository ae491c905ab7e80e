import PackageSources
import Testing

@testable import PackageFormats

/// Builds an index of one part, and shows it as lines.
func dump(_ fill: (inout IndexBuilder) throws -> Void) throws -> [String] {
  var builder = try IndexBuilder(key: [])
  builder.beginPart(component: try builder.text("main"), arch: try builder.text("amd64"))
  try fill(&builder)
  return lines(of: try PackageIndex(bytes: try builder.finish(time: 0)))
}

/// Shows packages with their relations and provides, then files, then groups.
func lines(of index: PackageIndex) -> [String] {
  var lines: [String] = []
  for row in 0..<index.recordCount {
    let record = index.record(RecordID(UInt32(row)))!
    var line = [record.name, record.version, record.arch].map { index.string(of: $0) }.joined(separator: " ")
    if record.flags.contains(.isEssential) { line += " essential" }
    if record.flags.contains(.saysEssential) { line += " says-essential" }
    if record.flags.contains(.isHidden) { line += " hidden" }
    lines.append(line)
    for row in record.relations {
      let relation = index.relation(row)!
      var line = "  \(relation.kind) \(index.string(of: relation.name))"
      if relation.qualifier != .none { line += ":" + index.string(of: relation.qualifier) }
      if relation.comparison != .none { line += " \(relation.comparison) \(index.string(of: relation.version))" }
      if relation.flags.contains(.orNext) { line += " |" }
      if relation.flags.contains(.isRich) { line += " rich" }
      if relation.flags.contains(.isContinued) { line += " continued" }
      if relation.flags.contains(.isForInstallation) { line += " pre" }
      lines.append(line)
    }
    for row in record.provides {
      let provide = index.provide(row)!
      var line = "  provides \(index.string(of: provide.name))"
      if provide.comparison != .none { line += " \(provide.comparison) \(index.string(of: provide.version))" }
      if provide.flags.contains(.isContinued) { line += " continued" }
      lines.append(line)
    }
  }
  lines += files(of: index)
  for row in 0..<index.groupCount {
    let group = index.group(row)!
    lines.append("@\(index.string(of: group.id)) \(index.string(of: group.name))")
    for row in group.members {
      let member = index.member(row)!
      var line = "  \(member.kind) \(index.string(of: member.name))"
      if member.requires != .none { line += " if \(index.string(of: member.requires))" }
      lines.append(line)
    }
  }
  return lines
}

private func files(of index: PackageIndex) -> [String] {
  var lines: [String] = []
  for text in 0..<index.textCount {
    let name = TextID(UInt32(text))
    for row in index.providers(of: name) {
      let provide = index.provide(row)!
      guard provide.flags.contains(.isFile), let record = index.record(provide.record) else { continue }
      lines.append("file \(index.string(of: name)) of \(index.string(of: record.name))")
    }
  }
  return lines
}

/// Cuts bytes into pieces of one size, and gives each.
func forEachPiece(
  of bytes: [UInt8], size: Int, _ body: (UnsafeRawBufferPointer) throws -> Void
) rethrows {
  var start = 0
  while start < bytes.count {
    let end = min(start + size, bytes.count)
    try Array(bytes[start..<end]).withUnsafeBytes { try body($0) }
    start = end
  }
}

/// Sizes of pieces that a parser is given: one byte, a few, everything.
let pieceSizes = [1, 3, 7, 1 << 20]
