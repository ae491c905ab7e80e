import EventLoop
import Glibc
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
    /// It is not what it should be, and must not be written over.
    case broken(String)
  }

  /// Who wrote a file last.
  enum Origin: Equatable {
    /// Another program, or this one with `layout = file`: what it says counts.
    case foreign
    /// This server, as a copy of probed.d, and nobody has changed it since.
    case copy
    /// Somebody who edited such a copy. The digest is that of the copy as it was.
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
  ///   - isCopy: whether the data is kept elsewhere; a comment at the end says so.
  static func bytes(of reports: some Sequence<(ClientName, ProbeReport)>, isCopy: Bool) -> [UInt8] {
    var bytes: [UInt8] = []
    for (client, report) in reports { report.append(to: &bytes, client: client) }
    bytes = bytes.isEmpty ? Array("<Probed/>\n".utf8) : "<Probed>\n".utf8 + bytes + "</Probed>\n".utf8
    if isCopy { bytes += comment(on: bytes) }
    return bytes
  }

  // MARK: Copies

  private static let commentStart =
    "<!-- A copy of what is in \(ProbedFolder.name), for Bcfg2's own programs. SHA-256: "
  private static let commentEnd = " -->\n"

  /// Bytes at the end of a file in which the comment is looked for: an editor may have moved it a little.
  private static let commentPlaceBytes = 4096

  /// What tells a copy that nobody has edited from what somebody else wrote.
  private static func comment(on bytes: [UInt8]) -> [UInt8] {
    Array("\(commentStart)\(FileDigest(bytes))\(commentEnd)".utf8)
  }

  private static func origin(of bytes: [UInt8]) -> Origin {
    let start = Array(commentStart.utf8)
    let tail = bytes.suffix(commentPlaceBytes)
    // Data has no `<` but in escaped form.
    guard let place = tail.indices.last(where: { tail[$0...].starts(with: start) }) else { return .foreign }
    let digest = bytes[(place + start.count)...].prefix(64)
    guard digest.count == 64 else { return .foreign }
    let isWhole = bytes[place...].elementsEqual(comment(on: Array(bytes[..<place])))
    return isWhole ? .copy : .editedCopy(of: String(decoding: digest, as: UTF8.self))
  }

  // MARK: What cannot be read

  /// Moves a file that cannot be read out of the way, under a name that nothing has, where it can be mended.
  ///
  /// - Returns: the new path.
  /// - Throws: `SystemError` where it cannot be moved: it stays, and what is there is not written over.
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
