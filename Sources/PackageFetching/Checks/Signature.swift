import EventLoop
import Glibc

/// Checks OpenPGP signatures by gpgv, with the keys that a source names and no others.
nonisolated struct Signature {
  /// A file with the keys, binary.
  private let keyring: String
  /// A folder for the files of a check.
  private let folder: String

  enum Failure: Error, CustomStringConvertible {
    /// gpgv is not installed, or did not run.
    case notChecked(String)
    /// By a key that is none of those given.
    case unknownKey(String)
    case wrong(String)

    var description: String {
      switch self {
      case .notChecked(let text), .unknownKey(let text), .wrong(let text): text
      }
    }
  }

  /// - Parameters:
  ///   - keys: as `Armour.keys` returns them.
  ///   - folder: its files are removed by `close`.
  init(keys: [[UInt8]], in folder: String, name: String) throws(SystemError) {
    self.folder = folder
    keyring = "\(folder)/\(name).keys"
    try Files.replace(keyring, with: Array(keys.joined()))
  }

  func close() { unlink(keyring) }

  /// Checks a file with its signature in it (InRelease).
  ///
  /// - Returns: the signed text: what stands before or after it was signed by nobody.
  func checkSigned(_ path: String, limitBytes: Int) throws(Failure) -> [UInt8] {
    let output = keyring + ".text"
    unlink(output)
    defer { unlink(output) }
    try run(["--output", output, path])
    do throws(SystemError) {
      return try RegularFile.read(output, limitBytes: limitBytes)
    } catch {
      throw .wrong("gpgv gives no signed text: \(error)")
    }
  }

  /// Checks a file with its signature beside it (Release.gpg, repomd.xml.asc).
  func check(_ path: String, signature: String) throws(Failure) { try run([signature, path]) }

  private func run(_ arguments: [String]) throws(Failure) {
    let options = ["--homedir", folder, "--keyring", keyring, "--status-fd", "1", "--weak-digest", "SHA1"]
    let result: Program.Result
    do throws(SystemError) {
      result = try Program.run("gpgv", options + arguments)
    } catch {
      throw .notChecked(error.errno == ENOENT ? "gpgv is not installed" : "gpgv does not run: \(error)")
    }
    // Its status is not 0 as well if one of several signatures is by a key that the source does not name.
    let lines = String(decoding: result.output, as: UTF8.self).split(separator: "\n")
    let words = lines.compactMap { line in
      line.hasPrefix("[GNUPG:] ") ? line.split(separator: " ").dropFirst().first.map(String.init) : nil
    }
    guard !words.contains("BADSIG") else { throw .wrong("the signature is wrong") }
    guard !words.contains("GOODSIG") || !words.contains("VALIDSIG") else { return }
    if words.contains("EXPKEYSIG") { throw .wrong("the key of the signature has expired") }
    if words.contains("EXPSIG") { throw .wrong("the signature has expired") }
    if words.contains("REVKEYSIG") { throw .wrong("the key of the signature is revoked") }
    if let line = lines.first(where: { $0.contains("NO_PUBKEY") }) {
      throw .unknownKey("no GPGKey of the source is that of the signature (\(line.split(separator: " ").last ?? "?"))")
    }
    if result.status == nil { throw .notChecked("gpgv did not end by itself") }
    let text = String(decoding: result.errors, as: UTF8.self).split(separator: "\n").last.map(String.init)
    throw .wrong("there is no valid signature: \(text ?? "gpgv ended with status \(result.status ?? -1)")")
  }
}
