const { TEST_JAVA, TEST_KAFKA_JARS, GITHUB_ACTIONS } = process.env;

/** Whether tests with Java run here. Elsewhere they are skipped, except in the CI workflow, which installs Java and Maven. */
export const runsJava = (TEST_JAVA !== undefined && TEST_KAFKA_JARS !== undefined) || GITHUB_ACTIONS !== undefined;
