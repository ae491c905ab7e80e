import COpenSSL
package import EventLoop
import Glibc
import XMLRPC

/// A checksum that is computed while bytes arrive.
package nonisolated final class Digest {
  package enum Algorithm: String, Sendable, CaseIterable {
    case sha512, sha384, sha256, sha1

    /// By the name that a mirror's file gives: `SHA256`, `sha256`, `sha` for SHA-1.
    package init?(name: String) {
      switch name.lowercased() {
      case "sha512": self = .sha512
      case "sha384": self = .sha384
      case "sha256": self = .sha256
      case "sha1", "sha": self = .sha1
      default: return nil
      }
    }

    /// SHA-1 finds damage, but not what somebody made on purpose.
    package var isWeak: Bool { self == .sha1 }
  }

  private let context: OpaquePointer

  package init(_ algorithm: Algorithm) {
    let type =
      switch algorithm {
      case .sha512: EVP_sha512()
      case .sha384: EVP_sha384()
      case .sha256: EVP_sha256()
      case .sha1: EVP_sha1()
      }
    guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, type, nil) == 1 else {
      fatalError("libcrypto has no memory for a checksum, or not the algorithm \(algorithm.rawValue)")
    }
    self.context = context
  }

  deinit { EVP_MD_CTX_free(context) }

  package func update(_ bytes: UnsafeRawBufferPointer) {
    precondition(EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1)
  }

  /// The checksum of all bytes so far, as lower-case hexadecimal digits. Nothing can be added afterwards.
  package func finish() -> String {
    var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
    var length: UInt32 = 0
    precondition(EVP_DigestFinal_ex(context, &digest, &length) == 1)
    return Self.hexadecimal(digest[..<Int(length)])
  }

  /// A checksum's bytes as lower-case hexadecimal digits.
  package static func hexadecimal(_ digest: some Sequence<UInt8>) -> String {
    Hexadecimal.text(digest)
  }

  package static func hexadecimal(of bytes: [UInt8], _ algorithm: Algorithm) -> String {
    let digest = Digest(algorithm)
    bytes.withUnsafeBytes { digest.update($0) }
    return digest.finish()
  }

  /// The checksum of a file, read in pieces of 256 KiB.
  package static func hexadecimal(ofFile path: String, _ algorithm: Algorithm) throws(SystemError) -> String {
    let file = try RegularFile.open(path)
    let digest = Digest(algorithm)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)
    defer { buffer.deallocate() }
    while true {
      let count = read(file.rawValue, buffer.baseAddress, buffer.count)
      if count == 0 { return digest.finish() }
      if count < 0 {
        let code = errno
        if code == EINTR { continue }
        throw SystemError(call: "read", errno: code, detail: path)
      }
      digest.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    }
  }
}
