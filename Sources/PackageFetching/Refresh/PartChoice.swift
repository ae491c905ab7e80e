import PackageSources

/// Which files each part of an index is made from: the new ones, or those of the last index where there are none.
struct PartChoice {
  enum Chosen {
    case files(PartInput)
    case missing(FetchError)
  }

  struct Missing {
    let error: FetchError
    let failsAlone: Bool
  }

  private(set) var parts: [(part: SourcePart, chosen: Chosen)] = []
  private(set) var problems: [String] = []
  private var failsAlone: [Bool] = []
  private let old: IndexInputs?
  private let lastGood: (String) -> Download?

  init(_ files: [PartFiles], _ old: IndexInputs?, _ downloads: Downloads) {
    self.old = old
    lastGood = { downloads.lastGood($0) }
    for (number, file) in files.enumerated() {
      failsAlone.append(file.failsAlone)
      switch file.state {
      case .files(let input): parts.append((file.part, .files(input)))
      case .failed(let error):
        problems.append(error.description)
        parts.append((file.part, earlier(number).map { .files($0) } ?? .missing(error)))
      }
    }
  }

  /// Says that a part's files cannot be read: those of the last index take their place, if they are others.
  mutating func reject(_ number: Int, _ error: FetchError) {
    problems.append(error.description)
    guard case .files(let input) = parts[number].chosen, !input.isKept, let earlier = earlier(number) else {
      parts[number].chosen = .missing(error)
      return
    }
    parts[number].chosen = .files(earlier)
  }

  /// The files that the last index was made from, if they are all here.
  private func earlier(_ number: Int) -> PartInput? {
    guard let old, old.parts.indices.contains(number), !old.parts[number].files.isEmpty else { return nil }
    var input = PartInput(files: [:], isKept: true)
    for file in old.parts[number].files {
      guard let download = lastGood(file.name), download.sha256 == file.sha256 else { return nil }
      input.files[file.role] = download
    }
    return input
  }

  var missing: [Missing] {
    zip(parts, failsAlone).compactMap { part, failsAlone in
      if case .missing(let error) = part.chosen { Missing(error: error, failsAlone: failsAlone) } else { nil }
    }
  }

  var downloads: [Download] {
    parts.flatMap { part -> [Download] in
      if case .files(let input) = part.chosen { Array(input.files.values) } else { [] }
    }
  }

  var inputs: IndexInputs {
    IndexInputs(
      parts: parts.map { part in
        switch part.chosen {
        case .missing: return IndexInputs.Part(isMissing: true)
        case .files(let input):
          let files = PartInput.Role.allCases.compactMap { role in
            input.files[role].map { IndexInputs.File(role: role, sha256: $0.sha256, name: $0.name) }
          }
          return IndexInputs.Part(files: files, isKept: input.isKept)
        }
      })
  }
}
