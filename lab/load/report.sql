-- Which recent customers have no invoice yet.
SELECT count(*) FROM recent WHERE customer NOT IN (SELECT customer FROM invoices);
