import Core
import EventLoop
import Identity
import Repository

/// Changes clients.xml in place: reads only the elements that change, and copies the rest from file to file. A change costs
/// the same in a file of ten clients and in one of 100,000.
///
/// Each changed element is parsed and compared by `XMLSourceEditor`, as a whole file would be: in a well-formed file a
/// start tag that is well-formed and says what it has to leaves the rest as it is.
final class ClientsPatch {
  /// Thrown if a change cannot be made in place; `ClientsText` makes it then.
  struct NotInPlace: Error {}

  /// How many edits are made in one turn of the loop.
  private static let turnEdits = 64

  /// A start tag, made an element of its own while it is edited.
  private struct Tag {
    let range: Range<Int>
    let text: [UInt8]
    let isEmpty: Bool
    var editor: XMLSourceEditor

    /// - Throws: if it cannot be parsed alone, because attributes have the prefix of a namespace.
    init(_ text: [UInt8], at start: Int, path: String) throws {
      self.text = text
      range = start..<start + text.count
      isEmpty = text.dropLast().last == UInt8(ascii: "/")
      editor = try XMLSourceEditor(isEmpty ? text : text.dropLast() + Array("/>".utf8), path: path)
    }

    mutating func set(_ attributes: Attributes, ofClient spelling: String) throws {
      for (key, value) in attributes {
        try editor.setAttribute(key, to: value, of: "Client", where: "name", is: spelling)
      }
    }

    func edited() throws -> [UInt8] {
      let element = try editor.contents()
      return isEmpty ? element : element.dropLast(2) + [UInt8(ascii: ">")]
    }
  }

  /// A file while elements of it are edited.
  private final class Source {
    /// The most bytes of one start tag.
    private static let tagLimitBytes = 1 << 20

    let path: String
    let version: FileVersion
    let places: ElementIndex
    /// By position.
    var tags: [Int: Tag] = [:]
    private let descriptor: FileDescriptor

    init(_ path: String, _ version: FileVersion, _ places: ElementIndex) throws {
      self.path = path
      self.version = version
      self.places = places
      descriptor = try RegularFile.open(path)
    }

    /// The position of a client's first element; its tag is in `tags` then.
    func find(_ spelling: String) throws -> Int? {
      for index in places.candidates(spelling) {
        if tags[index] == nil {
          let start = places.start(index)
          tags[index] = try Tag(try read(at: start), at: start, path: path)
        }
        if tags[index]?.editor.count(tag: "Client", where: "name", is: spelling) == 1 { return index }
      }
      return nil
    }

    private func read(at start: Int) throws -> [UInt8] {
      var size = 512
      while size <= Self.tagLimitBytes {
        let end = min(start + size, places.textBytes)
        let bytes = try RegularFile.read(descriptor, path, range: start..<end)
        let tag = bytes.withUnsafeBufferPointer { text in
          var walk = XMLTagWalk(text)
          return walk.next()
        }
        if let tag, tag.range.lowerBound == 0, tag.kind != .end { return Array(bytes[tag.range]) }
        if end == places.textBytes { break }
        size *= 8
      }
      throw NotInPlace()
    }
  }

  private let file: MetadataFile
  private let table: ClientsTable
  private var sources: [Source] = []
  /// New clients by their names in lower case, and their order.
  private var added: [ClientName: (spelling: String, element: Element)] = [:]
  private var addedOrder: [ClientName] = []

  /// - Throws: if a file cannot be opened.
  init(file: MetadataFile, table: ClientsTable, places: [String: ElementIndex]) throws {
    self.file = file
    self.table = table
    for path in file.paths {
      guard let version = file.version(of: path), let places = places[path] else { throw NotInPlace() }
      sources.append(try Source(path, version, places))
    }
  }

  /// Makes the changes.
  ///
  /// - Throws: `NotInPlace`, or why a file cannot be read.
  func draft(of edits: [ClientsEdit], on loop: Reactor, places: ClientPlaces) async throws -> ClientsDraft {
    var outcomes: [(any Error)?] = []
    for edit in edits {
      if outcomes.count % Self.turnEdits == Self.turnEdits - 1 { await loop.nextIteration() }
      do {
        try make(edit)
        outcomes.append(nil)
      } catch let error as MetadataConsistencyError {
        outcomes.append(error)
      }
    }
    var files: [FileWrite] = []
    var taken: [() -> Void] = []
    for (number, source) in sources.enumerated() {
      var changes: [FileWrite.Change] = []
      for (_, tag) in source.tags.sorted(by: { $0.key < $1.key }) {
        let bytes = try tag.edited()
        if bytes != tag.text { changes.append(FileWrite.Change(tag.range, bytes)) }
        if changes.count % Self.turnEdits == Self.turnEdits - 1 { await loop.nextIteration() }
      }
      var addition = ElementIndex.Addition()
      if number == 0 {
        for name in addedOrder {
          guard let client = added[name] else { continue }
          let text = WireWriter.xml(client.element)
          guard XMLSourceEditor.isSame(try RepositoryXML.parse(text, path: source.path).root, client.element) else {
            throw NotInPlace()
          }
          addition.append(text, value: client.spelling, space: source.places.space)
        }
      }
      guard !changes.isEmpty || !addition.bytes.isEmpty else { continue }
      let end = source.places.end
      let all = changes + (addition.bytes.isEmpty ? [] : [FileWrite.Change(end..<end, addition.bytes)])
      let size = all.reduce(source.places.textBytes) { $0 + $1.bytes.count - $1.range.count }
      try file.require(size, of: source.path)
      files.append(FileWrite(all, in: source.path, replacing: source.version))
      taken.append { places.took(changes, addition, in: source.path) }
    }
    return ClientsDraft(outcomes: outcomes, files: files) { for update in taken { update() } }
  }

  private func make(_ edit: ClientsEdit) throws {
    switch edit {
    case .add(let name, let attributes):
      let lower = name.lowercased
      guard table.client(named: lower) == nil, table.client(ofAlias: lower) == nil, added[lower] == nil else { return }
      added[lower] = (name.text, Element("Client", ClientsEdit.attributes(of: name, attributes)))
      addedOrder.append(lower)
    case .update(let name, let attributes):
      if let client = added[name] {
        for (key, value) in attributes { client.element[key] = value }
        return
      }
      let spelling = table.client(named: name)?.spelling ?? name.text
      for source in sources {
        guard let index = try source.find(spelling), var tag = source.tags[index] else { continue }
        try tag.set(attributes, ofClient: spelling)
        source.tags[index] = tag
        return
      }
      guard table.client(named: name) == nil else { throw NotInPlace() }
      throw MetadataConsistencyError("Client \"\(name)\" does not exist")
    case .remove: throw NotInPlace()
    }
  }
}
