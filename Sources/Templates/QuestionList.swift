extension RenderingCache {
  /// A question of traces; those that are equal are one object.
  public final class Question {
    public let value: TemplateValue
    /// Another one for each question that ever was.
    package let number: Int
    /// Lists that have it.
    var uses = 0

    init(_ value: TemplateValue, number: Int) {
      self.value = value
      self.number = number
    }
  }

  /// The questions of renderings, in their order, and the answers that they have had.
  public final class QuestionList {
    let questions: [Question]
    let root = Answers(nil, .none)
    /// Another one for each list that there is; used again when one goes.
    let index: Int
    /// Another one for each list that ever was.
    let number: Int
    /// Trees that have results by it.
    var uses = 0
    /// Grows with each answer that there has not been.
    var version = 0
    private var lastGroup: UInt32 = 0

    init(_ questions: [Question], index: Int, number: Int) {
      self.questions = questions
      self.index = index
      self.number = number
    }

    func nextGroup() -> UInt32 {
      lastGroup &+= 1
      return lastGroup
    }

    /// What a client answers, as there have been such answers; `.other` where there have not.
    func find(_ known: (Question) -> TemplateValue?) -> Found {
      var place = root
      for question in questions {
        guard let answer = known(question) else { return .unknown }
        guard let next = place.next[answer] else { return .other }
        place = next
      }
      return .answers(place)
    }

    enum Found {
      case answers(Answers)
      case other
      /// A question has to be asked.
      case unknown
    }

    /// The same of a client that is asked what is not known; nil also where a question cannot be answered.
    func answers(_ answer: (Question) async -> TemplateValue?) async -> Answers? {
      var place = root
      for question in questions {
        guard let found = await answer(question), let next = place.next[found] else { return nil }
        place = next
      }
      return place
    }

    /// The results of a group, for whatever answers.
    func results(of group: UInt32) -> [Result] {
      var found: [Result] = []
      var places = [root]
      while let place = places.popLast() {
        if let result = place.result(of: group) { found.append(result) }
        places += place.next.values
      }
      return found
    }
  }

  /// Answers to the first questions of a list, or to all of them, and the results that were made with them.
  public final class Answers {
    /// This one belongs to it, as long as it has a result.
    unowned(unsafe) let before: Answers?
    let answer: TemplateValue
    var next: [TemplateValue: Answers] = [:]
    /// Numbers of groups, ascending, and the result of each.
    private var groups: [UInt32] = []
    private var results: [Result] = []

    init(_ before: Answers?, _ answer: TemplateValue) {
      self.before = before
      self.answer = answer
    }

    /// Whether a result has these; later ones that are the same are another object.
    var isCurrent: Bool { !results.isEmpty }

    func result(of group: UInt32) -> Result? {
      let place = place(of: group)
      return place < groups.count && groups[place] == group ? results[place] : nil
    }

    /// Sets the result of a group, which has none; nil removes it.
    func set(_ result: Result?, of group: UInt32) {
      let place = place(of: group)
      if let result {
        groups.insert(group, at: place)
        results.insert(result, at: place)
      } else {
        groups.remove(at: place)
        results.remove(at: place)
      }
    }

    private func place(of group: UInt32) -> Int {
      var low = 0
      var high = groups.count
      while low < high {
        let middle = (low + high) / 2
        if groups[middle] < group { low = middle + 1 } else { high = middle }
      }
      return low
    }
  }

  /// What one client answers to lists of questions, as long as it answers the same.
  package final class Memory {
    package init() {}

    /// The number of a list; its answers, or nil where there had been none such in a version of it.
    private var known: [(list: Int, version: Int, answers: Answers?)] = []

    package func removeAll() { known.removeAll(keepingCapacity: true) }

    /// What the client answers to a list, as far as that is known.
    func find(_ list: QuestionList) -> QuestionList.Found {
      guard list.index < known.count, known[list.index].list == list.number else { return .unknown }
      guard let answers = known[list.index].answers else {
        return known[list.index].version == list.version ? .other : .unknown
      }
      return answers.isCurrent ? .answers(answers) : .unknown
    }

    func keep(_ answers: Answers?, of list: QuestionList) {
      while known.count <= list.index { known.append((0, 0, nil)) }
      known[list.index] = (list.number, list.version, answers)
    }
  }
}
