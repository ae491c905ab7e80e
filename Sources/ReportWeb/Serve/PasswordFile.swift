import Glibc

/// Names and hashed passwords, a line each: `NAME:HASH`, as `htpasswd -B` and `htpasswd -5` write them.
struct PasswordFile {
  /// Why the file cannot be used.
  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  private var hashes: [String: String] = [:]

  /// bcrypt, SHA-256 and SHA-512 of crypt(3), yescrypt and its relatives. Not MD5, SHA-1 or plain text.
  static let methods = ["$2b$", "$2y$", "$5$", "$6$", "$y$", "$gy$", "$7$"]

  private static let limitBytes = 1 << 20

  init(path: String) throws(Failure) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw Failure(description: "\(path): \(String(cString: strerror(errno)))") }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size <= Self.limitBytes else {
      throw Failure(description: "\(path) is no file of at most \(Self.limitBytes) bytes")
    }
    var bytes = [UInt8](repeating: 0, count: Self.limitBytes)
    var count = 0
    while count < bytes.count {
      let more = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress! + count, $0.count - count) }
      guard more >= 0 else { throw Failure(description: "\(path): \(String(cString: strerror(errno)))") }
      if more == 0 { break }
      count += more
    }
    try self.init(text: String(decoding: bytes[..<count], as: UTF8.self), path: path)
  }

  init(text: String, path: String) throws(Failure) {
    // By scalars: CR and LF are one character.
    let lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
    for (index, scalars) in lines.enumerated() {
      let line = Substring(scalars.last == "\r" ? scalars.dropLast() : scalars)
      guard !line.isEmpty, !line.hasPrefix("#") else { continue }
      let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty else {
        throw Failure(description: "\(path), line \(index + 1): not NAME:HASH")
      }
      let hash = String(parts[1].prefix { $0 != ":" })
      guard Self.methods.contains(where: hash.hasPrefix) else {
        throw Failure(
          description:
            "\(path), line \(index + 1): the hash is of no method that is safe; htpasswd -B makes one that is")
      }
      hashes[String(parts[0])] = hash
    }
  }

  /// Whether the password is the user's. An unknown user costs as much time as a known one.
  func matches(user: String, password: String) throws(Failure) -> Bool {
    let known = hashes[user]
    guard let setting = known ?? hashes.values.first else { return false }
    guard let made = try Crypt.hash(password, setting) else { return false }
    return FormTokens.areEqual(Array(made.utf8), Array(setting.utf8)) && known != nil
  }
}

/// crypt(3), of the library libcrypt, which is loaded when the first password is checked.
enum Crypt {
  private typealias Function =
    @convention(c) (
      UnsafePointer<CChar>, UnsafePointer<CChar>, UnsafeMutablePointer<UnsafeMutableRawPointer?>,
      UnsafeMutablePointer<Int32>
    ) -> UnsafeMutablePointer<CChar>?

  private static let function: Function? = {
    for name in ["libcrypt.so.1", "libcrypt.so.2"] {
      guard let library = dlopen(name, RTLD_NOW | RTLD_LOCAL), let symbol = dlsym(library, "crypt_ra") else { continue }
      return unsafeBitCast(symbol, to: Function.self)
    }
    return nil
  }()

  /// - Returns: nil for a setting that the library does not know.
  static func hash(_ password: String, _ setting: String) throws(PasswordFile.Failure) -> String? {
    guard let function else {
      throw PasswordFile.Failure(description: "the library libcrypt.so.1 with crypt_ra is missing")
    }
    var data: UnsafeMutableRawPointer?
    var size: Int32 = 0
    defer { free(data) }
    guard let made = function(password, setting, &data, &size) else { return nil }
    let text = String(cString: made)
    return text.hasPrefix("*") ? nil : text
  }
}
