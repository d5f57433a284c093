SELECT product, count(*) AS orders, sum(cents) / 100.0 AS total
FROM orders
GROUP BY product
ORDER BY total DESC;
