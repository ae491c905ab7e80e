import EventLoop
import Glibc
import Repository

/// A file that is encrypted or decrypted.
public struct CryptFile {
  public let path: String
  /// What was told about it, in order.
  public private(set) var notices: [CryptNotice] = []

  /// The largest file.
  private static let limitBytes = 256 << 20

  private let request: CryptRequest
  private let source: [UInt8]
  private let version: FileVersion
  /// The owner and mode of the source.
  private let mode: FileWrite.Mode
  private let isProperties: Bool

  /// What comes of a file.
  public struct Result {
    public let bytes: [UInt8]
    public let isEncrypted: Bool
    /// Where it belongs.
    public let path: String
  }

  /// Reads a file.
  public init(_ path: String, _ request: CryptRequest) throws(CryptProblem) {
    self.path = path
    self.request = request
    guard access(path, F_OK) == 0 else { throw CryptProblem("\(path) does not exist, skipping") }
    do throws(SystemError) {
      (source, version, mode) = try AtomicFile.readSource(path, limitBytes: Self.limitBytes)
    } catch {
      throw CryptProblem("Error reading \(path), skipping: \(error)")
    }
    switch request.kind {
    case .cfg: isProperties = false
    case .properties: isProperties = true
    case .byContents where path.hasSuffix(".xml"): isProperties = try PropertiesDocument.isProperties(source, path)
    case .byContents: isProperties = false
    }
  }

  /// Encrypts or decrypts.
  public mutating func run() throws(CryptProblem) -> Result {
    if isProperties {
      if request.removesSource {
        notices.append(.detail("Cannot use --remove with Properties file \(path), ignoring for this file"))
      }
    } else {
      if request.xpath != nil {
        notices.append(.error("Specifying --xpath with --cfg is nonsensical, ignoring --xpath"))
      }
      if request.confirm != nil {
        notices.append(.error("Cannot use interactive mode with --cfg, ignoring --interactive"))
      }
    }
    switch request.mode {
    case .encrypt: return try attempt("encrypt") { file throws(CryptProblem) in try file.encrypted() }
    case .decrypt: return try attempt("decrypt") { file throws(CryptProblem) in try file.decrypted() }
    case .either:
      notices.append(.detail("Neither --encrypt nor --decrypt specified, determining mode"))
      // Without any passphrase neither works.
      _ = try request.wholePassphrase()
      let before = notices
      do throws(CryptProblem) {
        return try decrypted()
      } catch {
        notices = before + [.detail("Failed to decrypt \(path), trying encryption")]
        return try attempt("encrypt") { file throws(CryptProblem) in try file.encrypted() }
      }
    }
  }

  private mutating func attempt(
    _ verb: String, _ body: (inout CryptFile) throws(CryptProblem) -> Result
  ) throws(CryptProblem) -> Result {
    // A problem with the passphrase is told as it is.
    let passphrase = try request.wholePassphrase()
    if verb == "encrypt", !isProperties, passphrase == nil { throw request.ambiguous }
    do throws(CryptProblem) {
      return try body(&self)
    } catch {
      throw CryptProblem("Failed to \(verb) \(path), skipping: \(error)")
    }
  }

  private mutating func encrypted() throws(CryptProblem) -> Result {
    let passphrase = try request.wholePassphrase()
    if isProperties {
      let document = try PropertiesDocument(source, path)
      notices += try document.encrypt(request, passphrase)
      return Result(bytes: try document.bytes(), isEncrypted: true, path: path)
    }
    guard let passphrase else { throw request.ambiguous }
    guard !Encryption.isEncrypted(source) else { throw CryptProblem("Data is already encrypted") }
    notices.append(.detail("Using passphrase \(passphrase.name)"))
    do throws(EncryptionError) {
      let bytes = try request.encryption.encrypt(source, with: passphrase.text)
      return Result(bytes: bytes, isEncrypted: true, path: path + ".crypt")
    } catch {
      throw CryptProblem(error.description)
    }
  }

  private mutating func decrypted() throws(CryptProblem) -> Result {
    let passphrase = try request.wholePassphrase()
    if isProperties {
      let document = try PropertiesDocument(source, path)
      notices += try document.decrypt(request, passphrase)
      return Result(bytes: try document.bytes(), isEncrypted: false, path: path)
    }
    let target = path.hasSuffix(".crypt") ? String(path.dropLast(6)) : path
    do throws(EncryptionError) {
      let bytes =
        if let passphrase {
          try request.encryption.decrypt(source, with: passphrase.text)
        } else {
          try request.encryption.decryptWithAny(source)
        }
      return Result(bytes: bytes, isEncrypted: false, path: target)
    } catch {
      throw CryptProblem(
        "Could not decrypt \(path) with \(passphrase == nil ? "any passphrase" : "the specified passphrase")")
    }
  }

  /// Writes the result to its file, whole, and deletes the source where that was asked for.
  ///
  /// A new file gets the mode of the source, and its owner where this process may set it. A symbolic link is neither
  /// followed nor replaced: who may write to the folder would choose what is overwritten.
  public mutating func write(_ result: Result) throws(CryptProblem) {
    let isInPlace = result.path == path
    let removes = request.removesSource && result.isEncrypted && !isInPlace
    if removes { try requireNoLink(path) }
    try requireOwnFile(result.path, isInPlace: isInPlace)
    do {
      let there = try isInPlace ? version : AtomicFile.version(of: result.path, limitBytes: Self.limitBytes)
      try AtomicFile.write(
        FileWrite(result.bytes, to: result.path, replacing: there, mode: mode, followsLinks: false))
    } catch {
      throw CryptProblem("Error writing data from \(path) to \(result.path): \(error)")
    }
    notices.append(.detail("Wrote data to \(result.path)"))
    guard removes else { return }
    // What somebody has saved meanwhile is not in the encrypted file.
    let isUnchanged: Bool
    do throws(SystemError) {
      isUnchanged = try version.isPresent(at: path)
    } catch {
      throw CryptProblem("Error removing \(path): \(error)")
    }
    guard isUnchanged else {
      throw CryptProblem(
        "\(path) was changed while it was encrypted, and stays: \(result.path) has what it was before")
    }
    if unlink(path) != 0 { throw CryptProblem("Error removing \(path): \(String(cString: strerror(errno)))") }
  }

  /// Refuses to remove a link: what it leads to would stay as it is.
  private func requireNoLink(_ path: String) throws(CryptProblem) {
    var found = stat()
    guard lstat(path, &found) == 0, found.st_mode & S_IFMT == S_IFLNK else { return }
    throw CryptProblem(
      "\(path) is a symbolic link, skipping: --remove would leave the plain file that it leads to; name that file")
  }

  /// Refuses a target that is a link, or the source by another name.
  private func requireOwnFile(_ target: String, isInPlace: Bool) throws(CryptProblem) {
    var found = stat()
    guard lstat(target, &found) == 0 else { return }
    if found.st_mode & S_IFMT == S_IFLNK {
      throw CryptProblem("\(target) is a symbolic link, skipping \(path): name the file that it leads to")
    }
    var source = stat()
    if !isInPlace, stat(path, &source) == 0, source.st_dev == found.st_dev, source.st_ino == found.st_ino {
      throw CryptProblem("\(target) is the same file as \(path), skipping")
    }
  }
}
