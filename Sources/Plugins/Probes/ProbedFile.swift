import EventLoop
import Glibc
import Identity
import Repository
import XMLRPC

/// Why probe data is not kept.
struct ProbeStoreError: Error, CustomStringConvertible {
  let description: String
}

/// The form of probed.xml: the data of all clients in one document, as Bcfg2's Probes reads and writes it.
enum ProbedFile {
  /// Most bytes of a file: no more is written than is read.
  static let limitBytes = RepositoryXML.fileLimitBytes

  /// What a path holds.
  enum Contents {
    case missing
    case reports([ClientName: ProbeReport], FileVersion, Origin)
    /// Something else, which must not be overwritten.
    case broken(String)
  }

  /// Who wrote a file last.
  enum Origin: Equatable {
    /// Another program, or this server with `layout = file`: its data counts.
    case foreign
    /// This server, as a copy of probed.d, and nobody has changed it since.
    case copy
    /// This server, while clients had no file in probed.d, and nobody has changed it since: it has data that probed.d lacks,
    /// and the data in probed.d is at least as new.
    case original
    /// Somebody who edited such a copy. The digest is the one of the copy before the edit.
    case editedCopy(of: String)
  }

  /// Reads the file.
  ///
  /// - Parameter complain: told of a client whose name cannot be one.
  static func read(_ path: String, limitBytes: Int, complain: (String) -> Void) -> Contents {
    do {
      let file = try AtomicFile.readVersion(path, limitBytes: limitBytes)
      var reports: [ClientName: ProbeReport] = [:]
      for client in try parse(file.bytes).children {
        do throws(ClientNameError) {
          reports[try ClientName(recorded: client.name ?? "")] = ProbeReport(client)
        } catch {
          let name = client.name ?? "a client without a name"
          complain("\(path):\(client.line): Probe data of \(name), ignored: \(error)")
        }
      }
      return .reports(reports, file.version, origin(of: file.bytes))
    } catch let error as SystemError where error.errno == ENOENT {
      return .missing
    } catch {
      return .broken("\(error)")
    }
  }

  /// Parses probed.xml or a part of it, by the reader of what clients send: one output, an attribute here, may be larger
  /// than the 10 MB that libxml2 takes.
  static func parse(_ bytes: [UInt8]) throws(XMLError) -> Element {
    var limits = ClientDocument.limits.withoutRequestBounds
    limits.xmlAttributeBytes = limitBytes
    limits.xmlTextBytes = limitBytes
    let budget = RequestBudget(limits: limits, bodyBytes: bytes.count)
    return try ClientDocument.parse(bytes, limits: limits, budget: budget)
  }

  /// The document.
  ///
  /// - Parameters:
  ///   - reports: in the order of the clients' names.
  ///   - kind: written in a comment at the end.
  static func bytes(of reports: some Sequence<(ClientName, ProbeReport)>, as kind: Kind) -> [UInt8] {
    var bytes: [UInt8] = []
    for (client, report) in reports { report.append(to: &bytes, client: client) }
    bytes = bytes.isEmpty ? Array("<Probed/>\n".utf8) : "<Probed>\n".utf8 + bytes + "</Probed>\n".utf8
    if let start = kind.commentStart { bytes += comment(start, on: bytes) }
    return bytes
  }

  /// What this server writes.
  enum Kind: CaseIterable {
    /// Data that counts, or is compared with other data by its timestamps.
    case plain
    case copy
    case original

    var origin: Origin {
      switch self {
      case .plain: .foreign
      case .copy: .copy
      case .original: .original
      }
    }

    fileprivate var commentStart: String? {
      switch self {
      case .plain: nil
      case .copy: "<!-- A copy of what is in \(ProbedFolder.name), for Bcfg2's own programs. SHA-256: "
      case .original: "<!-- What \(ProbedFolder.name) does not have counts as it is here. SHA-256: "
      }
    }
  }

  // MARK: Copies

  private static let commentEnd = " -->\n"

  /// Bytes at the end of a file in which the comment is looked for: an editor may have moved it a little.
  private static let commentPlaceBytes = 4096

  /// The comment by which a file that nobody has edited is recognized.
  private static func comment(_ start: String, on bytes: [UInt8]) -> [UInt8] {
    Array("\(start)\(FileDigest(bytes))\(commentEnd)".utf8)
  }

  private static func origin(of bytes: [UInt8]) -> Origin {
    for kind in Kind.allCases {
      guard let start = kind.commentStart, let place = place(of: start, in: bytes) else { continue }
      let digest = bytes[(place + start.utf8.count)...].prefix(64)
      guard digest.count == 64 else { return .foreign }
      if bytes[place...].elementsEqual(comment(start, on: Array(bytes[..<place]))) { return kind.origin }
      return kind == .copy ? .editedCopy(of: String(decoding: digest, as: UTF8.self)) : .foreign
    }
    return .foreign
  }

  /// Data has no `<` but in escaped form.
  private static func place(of comment: String, in bytes: [UInt8]) -> Int? {
    let start = Array(comment.utf8)
    let tail = bytes.suffix(commentPlaceBytes)
    return tail.indices.last { tail[$0...].starts(with: start) }
  }

  // MARK: What cannot be read

  /// Renames a file that cannot be read to an unused name, so that it can be repaired.
  ///
  /// - Returns: the new path.
  /// - Throws: `SystemError` if it cannot be renamed: it stays, and is not overwritten.
  static func moveAside(_ path: String) throws(SystemError) -> String {
    for number in 1...1000 {
      let aside = number == 1 ? "\(path).broken" : "\(path).broken-\(number)"
      do throws(SystemError) {
        try AtomicFile.move(path, to: aside)
        return aside
      } catch {
        if error.errno != EEXIST { throw error }
      }
    }
    throw SystemError(call: "rename", errno: EEXIST, detail: path)
  }
}
