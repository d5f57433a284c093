package pydag

// kind is the kind of a node, in the order of the parser's own list (NodeKind of
// ruff_python_ast in the version that ruff/Cargo.lock names).
type kind uint8

const (
	modModule kind = iota
	modExpression
	stmtFunctionDef
	stmtClassDef
	stmtReturn
	stmtDelete
	stmtTypeAlias
	stmtAssign
	stmtAugAssign
	stmtAnnAssign
	stmtFor
	stmtWhile
	stmtIf
	stmtWith
	stmtMatch
	stmtRaise
	stmtTry
	stmtAssert
	stmtImport
	stmtImportFrom
	stmtGlobal
	stmtNonlocal
	stmtExpr
	stmtPass
	stmtBreak
	stmtContinue
	stmtIpyEscapeCommand
	exprBoolOp
	exprNamed
	exprBinOp
	exprUnaryOp
	exprLambda
	exprIf
	exprDict
	exprSet
	exprListComp
	exprSetComp
	exprDictComp
	exprGenerator
	exprAwait
	exprYield
	exprYieldFrom
	exprCompare
	exprCall
	exprFString
	exprTString
	exprStringLiteral
	exprBytesLiteral
	exprNumberLiteral
	exprBooleanLiteral
	exprNoneLiteral
	exprEllipsisLiteral
	exprAttribute
	exprSubscript
	exprStarred
	exprName
	exprList
	exprTuple
	exprSlice
	exprIpyEscapeCommand
	partExceptHandlerExceptHandler
	partInterpolatedElement
	partInterpolatedStringLiteralElement
	patternMatchValue
	patternMatchSingleton
	patternMatchSequence
	patternMatchMapping
	patternMatchClass
	patternMatchStar
	patternMatchAs
	patternMatchOr
	typeParamTypeVar
	typeParamTypeVarTuple
	typeParamParamSpec
	partInterpolatedStringFormatSpec
	patternArguments
	patternKeyword
	partComprehension
	partArguments
	partParameters
	partParameter
	partParameterWithDefault
	partKeyword
	partAlias
	partWithItem
	partMatchCase
	partDecorator
	partElifElseClause
	typeParams
	partFString
	partTString
	partStringLiteral
	partBytesLiteral
	partIdentifier
	kinds // how many there are
)

func (k kind) isStmt() bool { return k >= stmtFunctionDef && k <= stmtIpyEscapeCommand }
func (k kind) isExpr() bool { return k >= exprBoolOp && k <= exprIpyEscapeCommand }
