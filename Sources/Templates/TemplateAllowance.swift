import EventLoop

/// What one template has left: time, questions.
struct TemplateAllowance {
  var rendering: Duration
  /// For the server to answer.
  var answering: Duration
  var questions = RendererSettings.questionLimit
  /// Which of both is running out.
  var isAnswering = false
  /// How often a question or an answer came when its time was over. Some may be the fault of a loop that was late itself.
  var lateCount = 0

  /// Beyond so many it is the template's.
  static let lateLimit = 100

  init(_ timeout: Duration) {
    rendering = timeout
    answering = timeout
  }

  /// What the clock counts down.
  var current: Duration {
    get { isAnswering ? answering : rendering }
    set { if isAnswering { answering = newValue } else { rendering = newValue } }
  }

  mutating func spend(_ time: Duration) {
    if current <= time { lateCount += 1 }
    current = max(current - time, .milliseconds(1))
  }
}

extension Duration {
  /// Whole seconds where it is that, else with a fraction.
  var seconds: String {
    let parts = components
    return parts.attoseconds == 0
      ? "\(parts.seconds)" : "\(Double(parts.seconds) + Double(parts.attoseconds) / 1e18)"
  }
}
