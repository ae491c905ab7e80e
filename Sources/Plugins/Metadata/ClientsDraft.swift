import EventLoop
import Repository

/// Changes to clients.xml, ready to be written.
struct ClientsDraft {
  /// For each change, why it is not made; nil if it is made.
  let outcomes: [(any Error)?]
  /// The files whose contents change.
  let files: [FileWrite]
  /// Called when the files are in their places.
  var taken: () -> Void = {}
}

/// The positions of clients in the files of clients.xml, as they were read last or as the server has written them since.
final class ClientPlaces {
  private let file: MetadataFile
  private var places: [String: ElementIndex]?
  /// The reading of the file that `places` belongs to.
  private var reading = 0
  /// How often the text of a file was walked through.
  private(set) var walks = 0

  init(_ file: MetadataFile) { self.file = file }

  /// By path; nil while the files change, or if places do not cover all of them.
  func current() -> [String: ElementIndex]? {
    if let places, reading == file.readings { return places }
    places = nil
    guard let contents = file.unchangedContents() else { return nil }
    var found: [String: ElementIndex] = [:]
    for (path, content) in contents {
      walks += 1
      guard let places = ElementIndex(content.bytes, tag: "Client", key: "name") else { return nil }
      found[path] = places
    }
    places = found
    reading = file.readings
    return found
  }

  /// Forgets the positions, because a file was written as a whole.
  func forget() { places = nil }

  /// Takes over what was written to a file.
  func took(_ changes: [FileWrite.Change], _ addition: ElementIndex.Addition, in path: String) {
    places?[path]?.took(changes, addition)
  }
}
