import EventLoop
import FoundationEssentials
import Glibc
import ServerSettings

/// The texts of the configuration files, for a process that may not read them: root's, where the process is the server's user.
enum SettingsTexts {
  /// Where a worker has them.
  static let descriptor: Int32 = 3

  static func bytes(of settings: Settings) throws -> [UInt8] {
    Array(try JSONEncoder().encode(settings.files.texts.mapValues { Data($0) }))
  }

  /// Reads them, and closes the descriptor.
  ///
  /// - Throws: `SystemError`; an error of the decoder.
  static func read(_ descriptor: Int32) throws -> ConfigurationFiles {
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw SystemError(call: "read", errno: errno, detail: "the configuration files") }
      if count == 0 { break }
      bytes += chunk[..<count]
    }
    let texts = try JSONDecoder().decode([String: Data].self, from: Data(bytes))
    return ConfigurationFiles(texts: texts.mapValues { Array($0) })
  }
}
