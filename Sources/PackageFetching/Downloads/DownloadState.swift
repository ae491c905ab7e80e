import EventLoop
import Glibc

/// What is known of a downloaded file, in a small file of its own: lines of a name and a value.
nonisolated struct DownloadState: Equatable {
  /// Of the file that is there.
  var validators = Validators()
  var sha256: String?
  /// Size and time of the file when its checksum was computed.
  var fingerprint: String?
  /// Of the bytes of a transfer that was broken off; nil without any.
  var partial: Validators?

  init() {}

  /// Reads a state; an unreadable or broken one counts as none, and the file is fetched anew.
  init(path: String) {
    guard let bytes = try? RegularFile.read(path, limitBytes: 16 << 10) else { return }
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      let words = line.split(separator: " ", maxSplits: 1)
      guard words.count == 2 else { continue }
      let value = String(words[1])
      switch words[0] {
      case "etag": validators.etag = value
      case "last-modified": validators.lastModified = value
      case "sha256": sha256 = value
      case "fingerprint": fingerprint = value
      case "partial": partial = partial ?? Validators()
      case "partial-etag":
        partial = partial ?? Validators()
        partial?.etag = value
      case "partial-last-modified":
        partial = partial ?? Validators()
        partial?.lastModified = value
      default: continue
      }
    }
  }

  var bytes: [UInt8] {
    var lines: [String] = []
    func add(_ name: String, _ value: String?) {
      guard let value, !value.utf8.contains(where: { $0 < 0x20 }) else { return }
      lines.append("\(name) \(value)\n")
    }
    add("etag", validators.etag)
    add("last-modified", validators.lastModified)
    add("sha256", sha256)
    add("fingerprint", fingerprint)
    if let partial {
      add("partial", "yes")
      add("partial-etag", partial.etag)
      add("partial-last-modified", partial.lastModified)
    }
    return Array(lines.joined().utf8)
  }
}
